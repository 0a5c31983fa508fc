import { pieceBytes, type TokenPieces, tokenFlag } from '../text/tokenizer/tokenPieces.ts'
import type { ForcedRun } from './forcedRun.ts'
import { isProperPrefix, type TokenTrie } from './tokenTrie.ts'

/** Ids of a text in the middle of another, without special tokens. */
export type EncodeText = (text: string) => Promise<ArrayLike<number>>

/** Texts whose ids are kept: a grammar has a few dozen. */
const maxCached = 2048

/**
 * Tells the tokens of text that a grammar leaves no choice about, as the model's tokenizer writes it: what the model has seen in
 * training. Where the text may go on in several ways, tokens stay open from the first in which another may begin that reaches
 * beyond the text, and the last in any case: the model draws those.
 */
export class JumpAhead {
  readonly #encode: EncodeText
  readonly #pieces: TokenPieces
  readonly #trie: TokenTrie
  readonly #vocabSize: number
  readonly #cache = new Map<string, readonly number[]>()

  constructor(encode: EncodeText, pieces: TokenPieces, trie: TokenTrie, vocabSize: number) {
    this.#encode = encode
    this.#pieces = pieces
    this.#trie = trie
    this.#vocabSize = vocabSize
  }

  /** The tokens that are certain, from the beginning of the run. */
  async tokens({ parts, isOpen }: ForcedRun): Promise<number[]> {
    const ids: number[] = []
    for (const [i, part] of parts.entries()) {
      if (typeof part === 'number') {
        // Tokenizers may have more tokens than the model.
        if (part >= this.#vocabSize) break
        ids.push(part)
        continue
      }
      const written = await this.#written(part)
      const isLast = i === parts.length - 1
      ids.push(...(isLast && isOpen ? this.#withoutOpenEnd(part, written) : written))
      // A part that tokens do not spell is left to the model, and what follows it.
      if (written.length === 0) break
    }
    return ids
  }

  /** Ids that spell exactly these bytes; none when the tokenizer has no such ids (it may begin texts with a space of its own). */
  async #written(bytes: Uint8Array): Promise<readonly number[]> {
    const text = wholeText(bytes)
    if (text === undefined) return []
    const known = this.#cache.get(text)
    if (known !== undefined) return known
    // However long it takes: what is forced must not depend on what else the tokenizer is at, or the same seed would not give
    // the same text. Text that cannot be tokenized, for whatever reason, can still be drawn.
    return this.#encode(text).then(
      ids => this.#remember(text, this.#spells(ids, bytes) ? Array.from(ids) : none),
      () => none,
    )
  }

  #remember(text: string, ids: readonly number[]): readonly number[] {
    const [oldest] = this.#cache.keys()
    if (this.#cache.size >= maxCached && oldest !== undefined) this.#cache.delete(oldest)
    this.#cache.set(text, ids)
    return ids
  }

  #spells(encoded: ArrayLike<number>, bytes: Uint8Array): boolean {
    const ids = Array.from(encoded)
    const isText = (id: number) =>
      id < this.#vocabSize &&
      ((this.#pieces.flags[id] ?? tokenFlag.missing) & (tokenFlag.special | tokenFlag.missing)) ===
        0
    const spelled = Buffer.concat(ids.map(id => pieceBytes(this.#pieces, id)))
    return ids.every(isText) && spelled.equals(bytes)
  }

  #withoutOpenEnd(bytes: Uint8Array, ids: readonly number[]): readonly number[] {
    let open = 0
    while (open < bytes.length - 1 && !isProperPrefix(this.#trie, bytes.subarray(open))) open++
    let end = 0
    const certain = ids.findIndex(id => {
      end += pieceBytes(this.#pieces, id).length
      return end > open
    })
    return ids.slice(0, certain)
  }
}

const none: readonly number[] = []

/** undefined for bytes that begin or end inside a character. */
function wholeText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
