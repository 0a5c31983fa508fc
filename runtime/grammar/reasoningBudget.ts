import type { ReasoningFormat } from '../parse/reasoningFormats.ts'
import { setBit } from './bits.ts'
import type { TokenConstraint } from './tokenConstraint.ts'

export interface ReasoningBudgetOptions {
  format: ReasoningFormat
  /** Most tokens inside blocks. */
  maxTokens: number
  /** Tokens of the text that closes a block in the model's own format. */
  closeIds: readonly number[]
  /** The prompt ends inside a block. */
  startsOpen: boolean
  tokenBytes: (id: number) => Uint8Array
}

/** Closes a model's reasoning when its tokens are used up: from then on only those of the closing are allowed. */
export class ReasoningBudget implements TokenConstraint {
  readonly #options: ReasoningBudgetOptions
  readonly #inner: TokenConstraint | undefined
  readonly #open: string
  readonly #close: string
  #place: 'start' | 'inside' | 'outside'
  #used = 0
  /** Index of the next closing token, -1 while there is no need. */
  #closing = -1
  /** What may be the beginning of a tag, bytes as characters. */
  #recent = ''

  /** @param inner holds for the whole output, reasoning included */
  constructor(options: ReasoningBudgetOptions, inner: TokenConstraint | undefined) {
    this.#options = options
    this.#inner = inner
    this.#open = bytesAsText(new TextEncoder().encode(options.format.open))
    this.#close = bytesAsText(new TextEncoder().encode(options.format.close))
    this.#place = options.startsOpen ? 'inside' : 'start'
    this.#closeIfUsedUp()
  }

  async prepareForced(remaining: number): Promise<void> {
    if (this.#closing < 0) await this.#inner?.prepareForced(remaining)
  }

  async prepareFill(remaining: number): Promise<void> {
    if (this.#closing < 0) await this.#inner?.prepareFill(remaining)
  }

  forced(remaining: number): readonly number[] {
    if (this.#closing >= 0) {
      const ids = this.#options.closeIds.slice(this.#closing)
      return ids.length > 1 && ids.length < remaining ? ids : []
    }
    // Inside a block each token may be the one that uses up the budget.
    return this.#place === 'outside' ? (this.#inner?.forced(remaining) ?? []) : []
  }

  fill(words: Uint32Array, remaining: number): boolean {
    const id = this.#options.closeIds[this.#closing]
    if (id === undefined) return this.#inner?.fill(words, remaining) ?? false
    setBit(words, id)
    return true
  }

  accept(token: number): boolean {
    if (this.#inner?.accept(token) === false) return false
    this.#follow(token)
    return true
  }

  #follow(token: number): void {
    const isForced = this.#closing >= 0
    if (isForced && ++this.#closing === this.#options.closeIds.length) this.#closing = -1
    const wasInside = this.#place === 'inside'
    this.#read(bytesAsText(this.#options.tokenBytes(token)))
    if (this.#place !== 'inside') return
    if (wasInside && !isForced) this.#used++
    if (!isForced) this.#closeIfUsedUp()
  }

  #read(text: string): void {
    this.#recent += text
    if (this.#place === 'inside') {
      this.#passTag(this.#close, 'outside')
    } else if (!this.#passTag(this.#open, 'inside') && this.#place === 'start') {
      // Elsewhere than at the start a tag may be meant as text.
      const said = this.#recent.trimStart()
      if (!this.#open.startsWith(said)) this.#place = 'outside'
    }
  }

  #passTag(tag: string, place: 'inside' | 'outside'): boolean {
    if (this.#place === 'outside' && !this.#mayReopen) return false
    const at = this.#recent.indexOf(tag)
    if (at < 0) {
      if (this.#place !== 'start') this.#recent = this.#recent.slice(-tag.length)
      return false
    }
    this.#recent = this.#recent.slice(at + tag.length)
    this.#place = place
    return true
  }

  get #mayReopen(): boolean {
    const { anywhere, name } = this.#options.format
    return anywhere === true || name === 'harmony'
  }

  #closeIfUsedUp(): void {
    const isUsedUp = this.#place === 'inside' && this.#used >= this.#options.maxTokens
    // Between the bytes of a character nothing can be closed.
    if (isUsedUp && !endsMidCharacter(this.#recent)) this.#closing = 0
  }
}

function bytesAsText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Whether the last character, bytes as characters, lacks bytes of its UTF-8. */
function endsMidCharacter(text: string): boolean {
  for (let n = 1; n <= Math.min(3, text.length); n++) {
    const byte = text.charCodeAt(text.length - n)
    if (byte >= 0xc0) return n < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2)
    if (byte < 0x80) return false
  }
  return false
}
