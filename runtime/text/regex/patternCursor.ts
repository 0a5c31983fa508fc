import { UnsupportedRegexError } from './unsupportedRegexError.ts'

/** The characters of a regular expression with a cursor over them. */
export class PatternCursor {
  at = 0
  readonly #pattern: string
  readonly #chars: string[]

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#chars = Array.from(pattern)
  }

  get isAtEnd(): boolean {
    return this.at >= this.#chars.length
  }

  error(reason: string): UnsupportedRegexError {
    return new UnsupportedRegexError(this.#pattern, `${reason} at ${this.at}`)
  }

  /** A character ahead, empty beyond the end. */
  peek(offset = 0): string {
    return this.#chars[this.at + offset] ?? ''
  }

  /** At most `count` characters ahead, as one string. */
  ahead(count: number): string {
    return this.#chars.slice(this.at, this.at + count).join('')
  }

  startsWith(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.peek(i) !== text[i]) return false
    return true
  }

  /** Steps over a character. @throws UnsupportedRegexError at the end */
  take(): string {
    const char = this.#chars[this.at]
    if (char === undefined) throw this.error('ends unexpectedly')
    this.at += 1
    return char
  }
}
