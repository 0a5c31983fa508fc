import { GrammarError } from './expr.ts'

const simpleEscapes: Record<string, string> = {
  n: '\n',
  r: '\r',
  t: '\t',
  f: '\f',
  v: '\v',
  b: '\b',
  a: '\x07',
  0: '\0',
}

/** A place in the text of a grammar that is being read. */
export class TextCursor {
  readonly #text: string
  readonly #language: string
  at = 0

  constructor(text: string, language: string) {
    this.#text = text
    this.#language = language
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  /** The character here, '' at the end. */
  get char(): string {
    return String.fromCodePoint(...(this.isAtEnd ? [] : [this.#text.codePointAt(this.at) ?? 0]))
  }

  sees(text: string): boolean {
    return this.#text.startsWith(text, this.at)
  }

  take(text: string): boolean {
    if (!this.sees(text)) return false
    this.at += text.length
    return true
  }

  /** Takes what a sticky expression matches here. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)
    if (found === null) return undefined
    this.at += found[0].length
    return found
  }

  next(): string {
    if (this.isAtEnd) throw this.error('ends too early')
    const { char } = this
    this.at += char.length
    return char
  }

  /** The character that what follows a backslash stands for. */
  escape(): string {
    const char = this.next()
    const length = char === 'x' ? 2 : char === 'u' ? 4 : char === 'U' ? 8 : 0
    if (length === 0) return simpleEscapes[char] ?? char
    const digits = this.#text.slice(this.at, this.at + length)
    const point = Number.parseInt(digits, 16)
    if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < length || point > 0x10ffff) {
      throw this.error(`has a bad escape \\${char}${digits}`)
    }
    this.at += length
    return String.fromCodePoint(point)
  }

  error(problem: string): GrammarError {
    const before = this.#text.slice(0, this.at).split('\n')
    const column = (before.at(-1)?.length ?? 0) + 1
    return new GrammarError(
      `line ${before.length}, column ${column} of the ${this.#language} grammar ${problem}`,
    )
  }
}
