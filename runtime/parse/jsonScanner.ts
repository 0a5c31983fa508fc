const closers = new Map([
  ['{', '}'],
  ['[', ']'],
])
const literals = ['true', 'false', 'null']
const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/
const maxDepth = 256

/**
 * Checks a JSON value (RFC 8259) character by character. Control characters inside strings, which models do write, are not
 * JSON but clear: they come back escaped.
 */
export class JsonScanner {
  /** Brackets still to close, innermost last. */
  readonly #open: string[] = []
  #state: 'value' | 'firstKey' | 'key' | 'colon' | 'next' | 'string' | 'escape' | 'word' | 'done' =
    'value'
  /** The string under way is the key of a member. */
  #isKey = false
  #hexDigits = 0
  #word = ''
  /** An empty list may end where its first value would stand. */
  #mayClose = false

  get isDone(): boolean {
    return this.#state === 'done'
  }

  /** The first key of an object has begun, or the value is complete: what follows `{` in prose is no quote. */
  get isPastStart(): boolean {
    return this.#state !== 'value' && this.#state !== 'firstKey'
  }

  /** @returns the character as JSON has it, undefined where it cannot stand */
  write(character: string): string | undefined {
    switch (this.#state) {
      case 'string':
        return this.#writeString(character)
      case 'escape':
        return this.#writeEscape(character) ? character : undefined
      case 'word':
        if (/[\w+.-]/.test(character)) return this.#extendWord(character) ? character : undefined
        if (!number.test(this.#word) && !literals.includes(this.#word)) return undefined
        this.#endValue()
        return this.write(character)
      case 'done':
        return undefined
    }
    if (/[ \n\r\t]/.test(character)) return character
    return this.#writeStructure(character) ? character : undefined
  }

  #writeStructure(character: string): boolean {
    const state = this.#state
    if (state === 'colon') {
      if (character !== ':') return false
      this.#state = 'value'
      return true
    }
    if (state === 'firstKey' || state === 'key') {
      if (state === 'firstKey' && character === '}') return this.#close(character)
      return character === '"' && this.#beginString(true)
    }
    if (state === 'next') {
      if (character !== ',') return this.#close(character)
      this.#state = this.#open.at(-1) === '}' ? 'key' : 'value'
      return true
    }
    if (this.#mayClose && character === ']') return this.#close(character)
    this.#mayClose = false
    const closer = closers.get(character)
    if (closer !== undefined) {
      this.#open.push(closer)
      this.#mayClose = closer === ']'
      this.#state = closer === '}' ? 'firstKey' : 'value'
      return this.#open.length <= maxDepth
    }
    if (character === '"') return this.#beginString(false)
    this.#word = ''
    this.#state = 'word'
    return this.#extendWord(character)
  }

  #beginString(isKey: boolean): true {
    this.#isKey = isKey
    this.#state = 'string'
    return true
  }

  #writeString(character: string): string {
    if (character === '\\') {
      this.#state = 'escape'
      this.#hexDigits = 0
    } else if (character === '"') {
      if (this.#isKey) this.#state = 'colon'
      else this.#endValue()
    } else if (character < ' ') return escapeJson(character)
    return character
  }

  #writeEscape(character: string): boolean {
    if (this.#hexDigits > 0) {
      if (!/[0-9a-fA-F]/.test(character)) return false
      if (--this.#hexDigits === 0) this.#state = 'string'
      return true
    }
    if (character === 'u') this.#hexDigits = 4
    else this.#state = 'string'
    return /["\\/bfnrtu]/.test(character)
  }

  #extendWord(character: string): boolean {
    this.#word += character
    return (
      /^-?[0-9]*[0-9.eE+-]*$/.test(this.#word) ||
      literals.some(literal => literal.startsWith(this.#word))
    )
  }

  #close(character: string): boolean {
    if (this.#open.at(-1) !== character) return false
    this.#open.pop()
    this.#mayClose = false
    this.#endValue()
    return true
  }

  #endValue(): void {
    this.#state = this.#open.length === 0 ? 'done' : 'next'
  }
}

/** The characters of a text as they stand inside a JSON string. Works on parts: halves of a surrogate pair stay as they are. */
export function escapeJson(text: string): string {
  return text.replace(/["\\]|[^ -\uffff]/g, c => JSON.stringify(c).slice(1, -1))
}
