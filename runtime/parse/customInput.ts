import { isSpace } from './tape.ts'

const before = '{"input":"'

/**
 * The text of a custom tool's one argument, as the model writes it: `{"input": "…"}`, in pieces. Arguments of another shape come
 * out as they are.
 */
export class CustomInput {
  #state: 'before' | 'text' | 'after' | 'other' = 'before'
  #held = ''
  #numMatched = 0

  push(json: string): string {
    let text = ''
    for (const character of json) text += this.#take(character)
    return text
  }

  #take(character: string): string {
    switch (this.#state) {
      case 'before':
        return this.#takeBefore(character)
      case 'text':
        return this.#takeText(character)
      case 'after':
        return ''
      case 'other':
        return character
    }
  }

  #takeBefore(character: string): string {
    this.#held += character
    if (isSpace(character)) return ''
    if (character !== before[this.#numMatched]) {
      this.#state = 'other'
      return this.#held
    }
    this.#numMatched++
    if (this.#numMatched === before.length) {
      this.#state = 'text'
      this.#held = ''
    }
    return ''
  }

  #takeText(character: string): string {
    const unit = this.#held + character
    if (unit === '"') {
      this.#state = 'after'
      return ''
    }
    if (!unit.startsWith('\\')) return unit
    const length = unit[1] === 'u' ? 6 : 2
    this.#held = unit.length < length ? unit : ''
    return this.#held === '' ? unescapeJson(unit) : ''
  }
}

/** One JSON escape; what is none stays as it is. */
function unescapeJson(text: string): string {
  try {
    return JSON.parse(`"${text}"`)
  } catch {
    return text
  }
}
