import { UnsupportedRegexError } from './unsupportedRegexError.ts'

const whiteSpace = '\\p{White_Space}'
const word = '\\p{L}\\p{M}\\p{N}\\p{Pc}'

/** POSIX names, as brackets and as properties. */
const posixClasses: Record<string, string> = {
  alnum: '\\p{L}\\p{M}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\p{ASCII}',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  lower: '\\p{Lowercase}',
  print: '\\P{C}',
  punct: '\\p{P}\\p{S}',
  space: whiteSpace,
  upper: '\\p{Uppercase}',
  word,
  xdigit: '0-9A-Fa-f',
}

/**
 * Translates an Oniguruma pattern to the source of an equal one for JavaScript's `v` flag.
 * @throws UnsupportedRegexError for syntax without a counterpart
 */
export function translateOnigPattern(pattern: string): string {
  return new Translator(pattern).translate()
}

class Translator {
  readonly #pattern: string
  readonly #chars: string[]
  #at = 0
  #numAtomic = 0
  /** Oniguruma's m: the dot matches newlines. */
  #dotMatchesAll = false

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#chars = Array.from(pattern)
  }

  translate(): string {
    const source = this.#alternatives(0)
    if (this.#at < this.#chars.length) throw this.#error('unmatched )')
    return source
  }

  #error(reason: string): UnsupportedRegexError {
    return new UnsupportedRegexError(this.#pattern, `${reason} at ${this.#at}`)
  }

  #peek(offset = 0): string {
    return this.#chars[this.#at + offset] ?? ''
  }

  #take(): string {
    const char = this.#chars[this.#at]
    if (char === undefined) throw this.#error('ends unexpectedly')
    this.#at += 1
    return char
  }

  #startsWith(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#peek(i) !== text[i]) return false
    return true
  }

  /** Everything up to an unmatched `)` or the end. */
  #alternatives(depth: number): string {
    if (depth > 100) throw this.#error('nested too deeply')
    let out = ''
    const outerDot = this.#dotMatchesAll
    // `(?i)` in the middle of a group holds to the group's end.
    let closers = ''
    while (this.#at < this.#chars.length && this.#peek() !== ')') {
      if (this.#peek() === '|') {
        this.#at += 1
        out += '|'
        continue
      }
      const flags = /^\(\?([a-z-]+)\)/.exec(this.#chars.slice(this.#at, this.#at + 10).join(''))
      if (flags) {
        this.#at += flags[0].length
        out += this.#groupHead(flags[1] ?? '')
        closers += ')'
        continue
      }
      out += this.#quantified(this.#atom(depth))
    }
    this.#dotMatchesAll = outerDot
    return out + closers
  }

  /** The start of a group with flags; only `i` is left for JavaScript. */
  #groupHead(flags: string): string {
    const match = /^([im]*)(?:-([im]*))?$/.exec(flags)
    if (!match) throw this.#error(`unsupported flags "${flags}"`)
    const [, on = '', off = ''] = match
    if (on.includes('m')) this.#dotMatchesAll = true
    if (off.includes('m')) this.#dotMatchesAll = false
    const ignoresCase = on.includes('i') ? 'i' : ''
    return off.includes('i') ? `(?${ignoresCase}-i:` : `(?${ignoresCase}:`
  }

  #quantified(atom: string): string {
    let term = atom
    for (;;) {
      const quantifier = this.#quantifier()
      if (quantifier === undefined) return term
      const isInterval = quantifier.startsWith('{')
      if (this.#peek() === '?') {
        this.#at += 1
        term += `${quantifier}?`
      } else if (this.#peek() === '+' && !isInterval) {
        this.#at += 1
        term = this.#atomic(term + quantifier)
      } else {
        term += quantifier
      }
      // A quantifier on a quantified term needs a group of its own.
      if (this.#isQuantifierNext()) term = `(?:${term})`
    }
  }

  #isQuantifierNext(): boolean {
    return '*+?'.includes(this.#peek() || ' ') || this.#interval() !== undefined
  }

  #interval(): { text: string; length: number } | undefined {
    if (this.#peek() !== '{') return undefined
    const match = /^\{(\d{0,5})(,?)(\d{0,5})\}/.exec(
      this.#chars.slice(this.#at, this.#at + 16).join(''),
    )
    if (!match || (match[1] === '' && match[3] === '')) return undefined
    return { text: `{${match[1] || '0'}${match[2]}${match[3]}}`, length: match[0].length }
  }

  #quantifier(): string | undefined {
    const interval = this.#interval()
    if (interval) {
      this.#at += interval.length
      return interval.text
    }
    const char = this.#peek()
    if (char === '' || !'*+?'.includes(char)) return undefined
    this.#at += 1
    return char
  }

  /** A group that gives nothing back: a lookahead captures it, a back reference consumes the capture. */
  #atomic(body: string): string {
    const name = `atomic${this.#numAtomic++}`
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`
  }

  #atom(depth: number): string {
    const char = this.#take()
    switch (char) {
      case '(':
        return this.#group(depth)
      case '[':
        return this.#characterClass(0)
      case '.':
        return this.#dotMatchesAll ? '[\\s\\S]' : '[^\\n]'
      case '^':
        return '(?<![^\\n])'
      case '$':
        return '(?![^\\n])'
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw this.#error('nothing to repeat')
      default:
        return literal(char)
    }
  }

  #group(depth: number): string {
    const outerDot = this.#dotMatchesAll
    let head = '('
    let isAtomic = false
    if (this.#peek() === '?') {
      const kinds = ['?:', '?=', '?!', '?<=', '?<!']
      const kind = kinds.find(k => this.#startsWith(k))
      const named = /^\?<([A-Za-z]\w*)>/.exec(this.#chars.slice(this.#at, this.#at + 60).join(''))
      const flags = /^\?([a-z-]+):/.exec(this.#chars.slice(this.#at, this.#at + 10).join(''))
      if (kind) {
        head = `(${kind}`
        this.#at += kind.length
      } else if (this.#startsWith('?>')) {
        isAtomic = true
        this.#at += 2
      } else if (named) {
        head = `(?<${named[1]}>`
        this.#at += named[0].length
      } else if (flags) {
        head = this.#groupHead(flags[1] ?? '')
        this.#at += flags[0].length
      } else {
        throw this.#error('unsupported group')
      }
    }
    const body = this.#alternatives(depth + 1)
    this.#dotMatchesAll = outerDot
    if (this.#peek() !== ')') throw this.#error('missing )')
    this.#at += 1
    return isAtomic ? this.#atomic(body) : `${head}${body})`
  }

  /** An escape outside of a class. */
  #escape(): string {
    const char = this.#peek()
    switch (char) {
      case 'A':
        this.#at += 1
        return '(?<![\\s\\S])'
      case 'z':
        this.#at += 1
        return '(?![\\s\\S])'
      case 'Z':
        this.#at += 1
        return '(?=\\n?(?![\\s\\S]))'
      case 'b':
        this.#at += 1
        return `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`
      case 'B':
        this.#at += 1
        return `(?:(?<=[${word}])(?=[${word}])|(?<![${word}])(?![${word}]))`
      case 'R':
        this.#at += 1
        return '(?:\\r\\n|[\\n\\v\\f\\r\\u0085\\u2028\\u2029])'
      case 'k': {
        const name = /^k<(\w+)>/.exec(this.#chars.slice(this.#at, this.#at + 60).join(''))
        if (!name) throw this.#error('unsupported escape \\k')
        this.#at += name[0].length
        return `\\${name[0]}`
      }
    }
    if (/[1-9]/.test(char)) {
      this.#at += 1
      return `(?:\\${char})`
    }
    return this.#classEscape()
  }

  /** An escape that stands for characters, inside or outside of a class; a class where it is more than one. */
  #classEscape(): string {
    const char = this.#take()
    switch (char) {
      case 's':
        return whiteSpace
      case 'S':
        return '\\P{White_Space}'
      case 'd':
        return '\\p{Nd}'
      case 'D':
        return '\\P{Nd}'
      case 'w':
        return `[${word}]`
      case 'W':
        return `[^${word}]`
      case 'h':
        return '[0-9A-Fa-f]'
      case 'H':
        return '[^0-9A-Fa-f]'
      case 'p':
      case 'P':
        return this.#property(char === 'P')
      case 't':
      case 'n':
      case 'r':
      case 'f':
      case 'v':
        return `\\${char}`
      case 'a':
        return '\\u0007'
      case 'e':
        return '\\u001b'
      case '0':
        return '\\u0000'
      case 'x':
        return this.#hex(/^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{1,2}))/)
      case 'u':
        return this.#hex(/^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))/)
    }
    if (/[A-Za-z0-9]/.test(char)) throw this.#error(`unsupported escape \\${char}`)
    return literal(char)
  }

  #hex(form: RegExp): string {
    const match = form.exec(this.#chars.slice(this.#at, this.#at + 8).join(''))
    if (!match) throw this.#error('bad hexadecimal escape')
    this.#at += match[0].length
    return `\\u{${match[1] ?? match[2]}}`
  }

  #property(isNegated: boolean): string {
    const text = this.#chars.slice(this.#at, this.#at + 60).join('')
    const match = /^\{(\^?)([\w =-]+)\}/.exec(text) ?? /^()([A-Z])/.exec(text)
    if (!match) throw this.#error('bad property')
    this.#at += match[0].length
    const negated = isNegated !== (match[1] === '^')
    const name = match[2] ?? ''
    const posix = posixClasses[name.toLowerCase()]
    if (posix !== undefined) return `[${negated ? '^' : ''}${posix}]`
    for (const candidate of [name, `Script=${name}`]) {
      const source = `\\${negated ? 'P' : 'p'}{${candidate}}`
      try {
        new RegExp(source, 'v')
        return source
      } catch {
        // Not a name JavaScript knows in this form.
      }
    }
    throw this.#error(`unknown property "${name}"`)
  }

  /** After `[`: unions, ranges, nested classes, `&&`. */
  #characterClass(depth: number): string {
    if (depth > 20) throw this.#error('nested too deeply')
    const negation = this.#peek() === '^' ? '^' : ''
    if (negation) this.#at += 1
    const operands: string[] = []
    let union = ''
    let isFirst = true
    for (;;) {
      if (this.#peek() === ']' && !isFirst) {
        this.#at += 1
        break
      }
      isFirst = false
      if (this.#startsWith('&&')) {
        this.#at += 2
        operands.push(union)
        union = ''
        continue
      }
      union += this.#classItem(depth)
    }
    operands.push(union)
    if (operands.length === 1) return `[${negation}${union}]`
    return `[${negation}${operands.map(operand => `[${operand}]`).join('&&')}]`
  }

  #classItem(depth: number): string {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#chars.slice(this.#at, this.#at + 16).join(''))
    if (posix) {
      const members = posixClasses[posix[2] ?? '']
      if (members === undefined) throw this.#error(`unknown class [:${posix[2]}:]`)
      this.#at += posix[0].length
      return `[${posix[1]}${members}]`
    }
    if (this.#peek() === '[') {
      this.#at += 1
      return this.#characterClass(depth + 1)
    }
    const low = this.#classMember()
    if (this.#peek() !== '-' || this.#peek(1) === ']' || this.#peek(1) === '') return low
    if (this.#peek(1) === '[') return low
    // A range needs single characters at both ends; else the hyphen is a member itself.
    const before = this.#at
    this.#at += 1
    const high = this.#classMember()
    if (isSingle(low) && isSingle(high)) return `${low}-${high}`
    this.#at = before + 1
    return `${low}\\-`
  }

  #classMember(): string {
    const char = this.#take()
    if (char !== '\\') return literal(char)
    if (this.#peek() === 'b') {
      this.#at += 1
      return '\\u0008'
    }
    return this.#classEscape()
  }
}

/** A character of itself, valid inside and outside of a `v` class. */
function literal(char: string): string {
  const isPlain = /[\p{L}\p{N} ]/u.test(char) && char.length === 1
  return isPlain ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
}

function isSingle(member: string): boolean {
  return !member.startsWith('[') && !/^\\[pP]\{/.test(member)
}
