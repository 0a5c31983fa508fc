import { characterClass, characterEscape, literal, word } from './onigCharacterClass.ts'
import { PatternCursor } from './patternCursor.ts'

/**
 * Translates an Oniguruma pattern to the source of an equal one for JavaScript's `v` flag.
 * @throws UnsupportedRegexError for syntax without a counterpart
 */
export function translateOnigPattern(pattern: string): string {
  return new Translator(pattern).translate()
}

class Translator {
  readonly #cursor: PatternCursor
  #numAtomic = 0
  /** Oniguruma's m: the dot matches newlines. */
  #dotMatchesAll = false

  constructor(pattern: string) {
    this.#cursor = new PatternCursor(pattern)
  }

  translate(): string {
    const source = this.#alternatives(0)
    if (!this.#cursor.isAtEnd) throw this.#cursor.error('unmatched )')
    return source
  }

  /** Everything up to an unmatched `)` or the end. */
  #alternatives(depth: number): string {
    if (depth > 100) throw this.#cursor.error('nested too deeply')
    let out = ''
    const outerDot = this.#dotMatchesAll
    // `(?i)` in the middle of a group holds to the group's end.
    let closers = ''
    while (!this.#cursor.isAtEnd && this.#cursor.peek() !== ')') {
      if (this.#cursor.peek() === '|') {
        this.#cursor.at += 1
        out += '|'
        continue
      }
      const flags = /^\(\?([a-z-]+)\)/.exec(this.#cursor.ahead(10))
      if (flags) {
        this.#cursor.at += flags[0].length
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
    if (!match) throw this.#cursor.error(`unsupported flags "${flags}"`)
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
      if (this.#cursor.peek() === '?') {
        this.#cursor.at += 1
        term += `${quantifier}?`
      } else if (this.#cursor.peek() === '+' && !isInterval) {
        this.#cursor.at += 1
        term = this.#atomic(term + quantifier)
      } else {
        term += quantifier
      }
      // A quantifier on a quantified term needs a group of its own.
      if (this.#isQuantifierNext()) term = `(?:${term})`
    }
  }

  #isQuantifierNext(): boolean {
    return '*+?'.includes(this.#cursor.peek() || ' ') || this.#interval() !== undefined
  }

  #interval(): { text: string; length: number } | undefined {
    if (this.#cursor.peek() !== '{') return undefined
    const match = /^\{(\d{0,5})(,?)(\d{0,5})\}/.exec(this.#cursor.ahead(16))
    if (!match || (match[1] === '' && match[3] === '')) return undefined
    return { text: `{${match[1] || '0'}${match[2]}${match[3]}}`, length: match[0].length }
  }

  #quantifier(): string | undefined {
    const interval = this.#interval()
    if (interval) {
      this.#cursor.at += interval.length
      return interval.text
    }
    const char = this.#cursor.peek()
    if (char === '' || !'*+?'.includes(char)) return undefined
    this.#cursor.at += 1
    return char
  }

  /** A group that gives nothing back: a lookahead captures it, a back reference consumes the capture. */
  #atomic(body: string): string {
    const name = `atomic${this.#numAtomic++}`
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`
  }

  #atom(depth: number): string {
    const char = this.#cursor.take()
    switch (char) {
      case '(':
        return this.#group(depth)
      case '[':
        return characterClass(this.#cursor)
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
        throw this.#cursor.error('nothing to repeat')
      default:
        return literal(char)
    }
  }

  #group(depth: number): string {
    const outerDot = this.#dotMatchesAll
    let head = '('
    let isAtomic = false
    if (this.#cursor.peek() === '?') {
      const kinds = ['?:', '?=', '?!', '?<=', '?<!']
      const kind = kinds.find(k => this.#cursor.startsWith(k))
      const named = /^\?<([A-Za-z]\w*)>/.exec(this.#cursor.ahead(60))
      const flags = /^\?([a-z-]+):/.exec(this.#cursor.ahead(10))
      if (kind) {
        head = `(${kind}`
        this.#cursor.at += kind.length
      } else if (this.#cursor.startsWith('?>')) {
        isAtomic = true
        this.#cursor.at += 2
      } else if (named) {
        head = `(?<${named[1]}>`
        this.#cursor.at += named[0].length
      } else if (flags) {
        head = this.#groupHead(flags[1] ?? '')
        this.#cursor.at += flags[0].length
      } else {
        throw this.#cursor.error('unsupported group')
      }
    }
    const body = this.#alternatives(depth + 1)
    this.#dotMatchesAll = outerDot
    if (this.#cursor.peek() !== ')') throw this.#cursor.error('missing )')
    this.#cursor.at += 1
    return isAtomic ? this.#atomic(body) : `${head}${body})`
  }

  /** An escape outside of a class. */
  #escape(): string {
    const char = this.#cursor.peek()
    switch (char) {
      case 'A':
        this.#cursor.at += 1
        return '(?<![\\s\\S])'
      case 'z':
        this.#cursor.at += 1
        return '(?![\\s\\S])'
      case 'Z':
        this.#cursor.at += 1
        return '(?=\\n?(?![\\s\\S]))'
      case 'b':
        this.#cursor.at += 1
        return `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`
      case 'B':
        this.#cursor.at += 1
        return `(?:(?<=[${word}])(?=[${word}])|(?<![${word}])(?![${word}]))`
      case 'R':
        this.#cursor.at += 1
        return '(?:\\r\\n|[\\n\\v\\f\\r\\u0085\\u2028\\u2029])'
      case 'k': {
        const name = /^k<(\w+)>/.exec(this.#cursor.ahead(60))
        if (!name) throw this.#cursor.error('unsupported escape \\k')
        this.#cursor.at += name[0].length
        return `\\${name[0]}`
      }
    }
    if (/[1-9]/.test(char)) {
      this.#cursor.at += 1
      return `(?:\\${char})`
    }
    return characterEscape(this.#cursor)
  }
}
