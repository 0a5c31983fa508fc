import { type AddedToken, AddedTokenMatcher, type Segment } from './addedTokens.ts'
import { detokenize } from './detokenizer.ts'
import { IdBuffer } from './idBuffer.ts'
import type { Normalizer } from './normalizer.ts'
import type { PreTokenizer } from './preTokenizer.ts'
import type { TextModel } from './textModel.ts'
import { pieceBytes, type TokenPieces, tokenFlag } from './tokenPieces.ts'

export interface EncodeOptions {
  /**
   * Put what the model expects around a text (BOS, EOS); chat templates write these themselves. `missingBos`: only what goes
   * before a text, unless it begins so already.
   */
  addSpecialTokens: boolean | 'missingBos'
  /** false: text that looks like a special token stays text. Default true. */
  parseSpecial?: boolean
}

/** Text to token ids and back. Made by `tokenizerJson.ts` or `ggufTokenizer.ts`. */
export interface Tokenizer {
  /** Highest id + 1; the model's logits may be padded beyond it. */
  readonly vocabSize: number
  readonly pieces: TokenPieces
  readonly bosId: number | undefined
  readonly eosId: number | undefined
  /** Every id known to end a turn or a text, `eosId` included. */
  readonly endIds: number[]
  encode(text: string, options: EncodeOptions): Int32Array<ArrayBuffer>
  decode(ids: Iterable<number>, options: { skipSpecialTokens: boolean }): string
  /** Raw bytes a token adds to a text, a view; they may be part of a character. Empty for an unknown id. */
  tokenBytes(id: number): Uint8Array
  isSpecial(id: number): boolean
  /** Id of a token by its text as the model file writes it. */
  tokenId(content: string): number | undefined
}

/** What a front end assembles a tokenizer from. */
export interface TokenizerParts {
  pieces: TokenPieces
  addedTokens: AddedToken[]
  normalizer: Normalizer | undefined
  preTokenizer: PreTokenizer | undefined
  model: TextModel
  /** Ids around a text with `addSpecialTokens`. */
  prefixIds: number[]
  suffixIds: number[]
  bosId: number | undefined
  eosId: number | undefined
  endIds: number[]
  /** Id of a token of the model itself (not an added one). */
  modelTokenId: (content: string) => number | undefined
}

/** Added tokens, normalizer, splitter and model, one after the other; Hugging Face's pipeline. */
export class PipelineTokenizer implements Tokenizer {
  readonly vocabSize: number
  readonly pieces: TokenPieces
  readonly bosId: number | undefined
  readonly eosId: number | undefined
  readonly endIds: number[]
  readonly #parts: TokenizerParts
  readonly #rawMatcher: AddedTokenMatcher
  readonly #normalizedMatcher: AddedTokenMatcher
  readonly #addedIds: Map<string, number>

  constructor(parts: TokenizerParts) {
    this.#parts = parts
    this.pieces = parts.pieces
    this.vocabSize = parts.pieces.flags.length
    this.bosId = parts.bosId
    this.eosId = parts.eosId
    this.endIds = parts.endIds
    this.#rawMatcher = new AddedTokenMatcher(parts.addedTokens.filter(t => !t.normalized))
    this.#normalizedMatcher = new AddedTokenMatcher(
      parts.addedTokens.filter(t => t.normalized),
      parts.normalizer,
    )
    this.#addedIds = new Map(parts.addedTokens.map(t => [t.content, t.id]))
  }

  encode(text: string, options: EncodeOptions): Int32Array<ArrayBuffer> {
    const out = new IdBuffer()
    const { addSpecialTokens, parseSpecial = true } = options
    const { prefixIds, suffixIds } = this.#parts
    if (addSpecialTokens) for (const id of prefixIds) out.push(id)
    for (const segment of this.#rawMatcher.split(text, parseSpecial, true)) {
      if ('id' in segment) out.push(segment.id)
      else this.#encodeNormalized(segment, parseSpecial, out)
    }
    if (addSpecialTokens === true) for (const id of suffixIds) out.push(id)
    const ids = out.slice()
    const isTwice = prefixIds.every((id, i) => ids[prefixIds.length + i] === id)
    return addSpecialTokens === 'missingBos' && isTwice ? ids.slice(prefixIds.length) : ids
  }

  #encodeNormalized(
    { text, isTextStart }: Extract<Segment, { text: string }>,
    parseSpecial: boolean,
    out: IdBuffer,
  ): void {
    const { normalizer, preTokenizer, model } = this.#parts
    const normalized = normalizer ? normalizer(text) : text
    for (const segment of this.#normalizedMatcher.split(normalized, parseSpecial, isTextStart)) {
      if ('id' in segment) {
        out.push(segment.id)
      } else if (preTokenizer) {
        for (const word of preTokenizer([segment.text], segment.isTextStart)) {
          model.encode(word, out)
        }
      } else if (segment.text !== '') {
        model.encode(segment.text, out)
      }
    }
  }

  decode(ids: Iterable<number>, options: { skipSpecialTokens: boolean }): string {
    return detokenize(this.pieces, ids, options)
  }

  tokenBytes(id: number): Uint8Array {
    return pieceBytes(this.pieces, id)
  }

  isSpecial(id: number): boolean {
    return ((this.pieces.flags[id] ?? 0) & tokenFlag.special) !== 0
  }

  tokenId(content: string): number | undefined {
    return this.#addedIds.get(content) ?? this.#parts.modelTokenId(content)
  }
}
