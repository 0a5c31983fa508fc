import { JinjaError } from './errors.ts'
import type { Token, TokenType } from './lexer.ts'

const maxDepth = 200

/** The tokens of a template with a cursor over them, as both parsers share it. */
export class TokenStream {
  readonly #tokens: Token[]
  #at = 0
  #depth = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  /** The token at the cursor; the last one when there is none. */
  get current(): Token {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1)
    return token ?? { type: 'end', value: '', line: 1 }
  }

  error(message: string, line = this.current.line): JinjaError {
    return new JinjaError('TemplateSyntaxError', `${message} (line ${line})`)
  }

  /** A token as error messages name it. */
  describe(token: Token): string {
    if (token.type === 'end') return 'end of template'
    if (token.type === 'blockEnd') return 'end of statement block'
    if (token.type === 'variableEnd') return 'end of print statement'
    return token.value
  }

  /** The token after the current one. */
  get next(): Token | undefined {
    return this.#tokens[this.#at + 1]
  }

  /** Steps over the current token, whatever it is. */
  take(): Token {
    const token = this.current
    this.#at += 1
    return token
  }

  is(type: TokenType, value?: string): boolean {
    const token = this.current
    return token.type === type && (value === undefined || token.value === value)
  }

  /** Steps over the token if it is this one. */
  skip(type: TokenType, value?: string): boolean {
    if (!this.is(type, value)) return false
    this.#at += 1
    return true
  }

  /** Steps over a token that must be this one. */
  expect(type: TokenType, value?: string): Token {
    const token = this.current
    if (!this.is(type, value)) {
      const wanted = value ?? (type === 'blockEnd' ? 'end of statement block' : type)
      throw this.error(`expected token '${wanted}', got '${this.describe(token)}'`)
    }
    this.#at += 1
    return token
  }

  /** Bounds the depth of whatever is parsed inside. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > maxDepth) throw this.error('nested too deeply')
    const result = parse()
    this.#depth -= 1
    return result
  }
}
