import { JinjaError } from './errors.ts'

export type TokenType =
  | 'data'
  | 'variableBegin'
  | 'variableEnd'
  | 'blockBegin'
  | 'blockEnd'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'end'

export interface Token {
  type: TokenType
  /** Text of data, names and operators; the value of a string; digits of a number. */
  value: string
  line: number
}

const tagBegin = /\{([{%#])([-+]?)/g
const rawBegin = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y
const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g
const commentEnd = /([-+]?)#\}/g
const skip = /\s+/y
const name = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*/uy
const float = /\d+(?:_\d+)*(?:(?:\.\d+(?:_\d+)*)?[eE][-+]?\d+(?:_\d+)*|\.\d+(?:_\d+)*)/y
const integer =
  /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y
const string = /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y

/**
 * Splits a template into tokens, with `trim_blocks` and `lstrip_blocks` and without the source's last newline, as
 * transformers configures jinja2.
 * Source: jinja2 `lexer.py`.
 */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run()
}

class Lexer {
  readonly #source: string
  readonly #tokens: Token[] = []
  #at = 0
  #line = 1
  /** The data that follows begins a line. */
  #isLineStart = true

  constructor(template: string) {
    this.#source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '')
  }

  run(): Token[] {
    const source = this.#source
    for (;;) {
      tagBegin.lastIndex = this.#at
      const tag = tagBegin.exec(source)
      if (tag === null) break
      const kind = tag[1] ?? ''
      const sign = tag[2] ?? ''
      this.#pushData(source.slice(this.#at, tag.index), sign, kind)
      this.#moveTo(tag.index)
      if (kind === '#') this.#comment(tag.index + tag[0].length)
      else if (kind === '%' && this.#raw()) continue
      else this.#tag(kind === '%', tag.index + tag[0].length)
    }
    this.#push('data', source.slice(this.#at))
    this.#push('end', '')
    return this.#tokens
  }

  #push(type: TokenType, value: string): void {
    if (type !== 'data' || value !== '') this.#tokens.push({ type, value, line: this.#line })
  }

  #moveTo(position: number): void {
    for (let i = this.#at; i < position; i++) if (this.#source[i] === '\n') this.#line += 1
    this.#isLineStart = position > this.#at && this.#source[position - 1] === '\n'
    this.#at = position
  }

  #pushData(text: string, sign: string, kind: string): void {
    this.#push('data', this.#trimmedBefore(text, sign, kind))
  }

  /** White space before a tag goes with `-`, and before blocks and comments that begin their line. */
  #trimmedBefore(text: string, sign: string, kind: string): string {
    if (sign === '-') return text.trimEnd()
    if (sign === '+' || kind === '{') return text
    const lineStart = text.lastIndexOf('\n') + 1
    const beginsLine = lineStart > 0 || this.#isLineStart
    return beginsLine && /^\s*$/.test(text.slice(lineStart)) ? text.slice(0, lineStart) : text
  }

  #comment(bodyStart: number): void {
    commentEnd.lastIndex = bodyStart
    const end = commentEnd.exec(this.#source)
    if (end === null) throw this.#error('Missing end of comment tag')
    this.#afterTag(end.index + end[0].length, end[1] ?? '', true)
  }

  #raw(): boolean {
    rawBegin.lastIndex = this.#at
    const begin = rawBegin.exec(this.#source)
    if (begin === null) return false
    const bodyStart = this.#at + begin[0].length
    rawEnd.lastIndex = bodyStart
    const end = rawEnd.exec(this.#source)
    if (end === null) throw this.#error('Missing end of raw directive')
    this.#moveTo(bodyStart)
    this.#pushData(this.#source.slice(bodyStart, end.index), end[1] ?? '', '%')
    this.#moveTo(end.index + end[0].length)
    return true
  }

  /** Skips white space after a closed tag: all of it with `-`, one newline after a block. */
  #afterTag(position: number, sign: string, trimsNewline: boolean): void {
    let next = position
    if (sign === '-') {
      skip.lastIndex = position
      next += skip.exec(this.#source)?.[0].length ?? 0
    } else if (sign !== '+' && trimsNewline && this.#source[position] === '\n') {
      next += 1
    }
    this.#moveTo(next)
  }

  #tag(isBlock: boolean, bodyStart: number): void {
    const source = this.#source
    const close = isBlock ? '%}' : '}}'
    this.#push(isBlock ? 'blockBegin' : 'variableBegin', '')
    this.#moveTo(bodyStart)
    const open: string[] = []
    for (;;) {
      this.#match(skip)
      if (this.#at >= source.length) throw this.#error('unexpected end of template')
      if (open.length === 0) {
        const sign = /^[-+]/.test(source.slice(this.#at, this.#at + 1)) ? source[this.#at] : ''
        const hasSign = sign === '-' || (sign === '+' && isBlock)
        if (source.startsWith(close, this.#at + (hasSign ? 1 : 0))) {
          this.#push(isBlock ? 'blockEnd' : 'variableEnd', '')
          this.#afterTag(this.#at + (hasSign ? 3 : 2), hasSign ? (sign ?? '') : '', isBlock)
          return
        }
      }
      this.#expressionToken(open)
    }
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#source)
    if (match === null) return undefined
    this.#moveTo(this.#at + match[0].length)
    return match
  }

  #expressionToken(open: string[]): void {
    const previous = this.#tokens.at(-1)
    const isAfterDot = previous?.type === 'operator' && previous.value === '.'
    const number = isAfterDot ? undefined : this.#match(float)
    const whole = number ? undefined : this.#match(integer)
    const word = number || whole ? undefined : this.#match(name)
    const text = number || whole || word ? undefined : this.#match(string)
    if (number) this.#push('float', number[0].replaceAll('_', ''))
    else if (whole) this.#push('integer', whole[0].replaceAll('_', ''))
    else if (word) this.#push('name', word[0])
    else if (text) this.#push('string', unescapeString(text[1] ?? text[2] ?? ''))
    else this.#operator(open)
  }

  #operator(open: string[]): void {
    const sign = this.#match(operator)?.[0]
    if (sign === undefined) {
      throw this.#error(`unexpected char ${JSON.stringify(this.#source[this.#at])}`)
    }
    if (sign === '(' || sign === '[' || sign === '{') open.push(sign)
    if (sign === ')' || sign === ']' || sign === '}') {
      const expected = { ')': '(', ']': '[', '}': '{' }[sign]
      if (open.pop() !== expected) throw this.#error(`unexpected '${sign}'`)
    }
    this.#push('operator', sign)
  }

  #error(message: string): JinjaError {
    return new JinjaError('TemplateSyntaxError', `${message} (line ${this.#line})`)
  }
}

const escapes: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
}

/** Python's string escapes; an unknown one stays as it is. */
function unescapeString(text: string): string {
  const form = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{1,3})|([\s\S]))/g
  return text.replace(form, (whole, x, u, big, octal, other) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
    const hex = x ?? u ?? big
    if (hex === undefined) return escapes[other] ?? whole
    const code = Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
