import { byteOfChar } from './byteLevel.ts'
import type { IdBuffer } from './idBuffer.ts'
import { MergeQueue, positionOf, rankOf } from './mergeQueue.ts'
import type { MergeTable } from './mergeTable.ts'
import type { TextModel } from './textModel.ts'
import type { TokenTable } from './tokenTable.ts'

/** How text becomes the first symbols, before any merge. */
export type BpeAlphabet =
  /** UTF-8 bytes, one token each. `mapped`: the words come in GPT-2's byte characters already. */
  | { kind: 'bytes'; idOfByte: Int32Array; mapped: boolean }
  /** Characters; one that is no token becomes its UTF-8 bytes' tokens (`idOfByte`, if there are such) or `unkId`. */
  | {
      kind: 'characters'
      idOfChar: (codePoint: number) => number
      idOfByte: Int32Array | undefined
    }

export interface BpeOptions {
  alphabet: BpeAlphabet
  merges: MergeTable
  unkId: number | undefined
  /** Runs of unknown characters make one unknown token. */
  fuseUnk: boolean
  /** Words that are a token as a whole are not merged at all, when `ignores` says so. Keys are the model's bytes. */
  wholeWords?: { table: TokenTable; ignores: (word: string) => boolean }
}

/** Words up to this length keep their ids; longer ones hardly repeat. */
const maxCachedChars = 32
const maxCachedWords = 50_000
/** Below this a scan for the least rank beats the heap (measured at 16-48 symbols: equal). */
const maxScanSymbols = 24

/**
 * Byte-pair encoding: merges the pair of lowest rank, leftmost first, until none is left. Long words cost
 * O(n log n).
 * Source: Sennrich et al. 2016; tie rule of Hugging Face tokenizers `models/bpe/word.rs`.
 */
export class BpeModel implements TextModel {
  readonly #options: BpeOptions
  readonly #merges: MergeTable
  readonly #cache = new Map<string, Int32Array>()
  readonly #queue = new MergeQueue()
  readonly #encoder = new TextEncoder()
  #symbols = new Int32Array(256)
  #ranks = new Int32Array(256)
  #next = new Int32Array(256)
  #previous = new Int32Array(256)
  #bytes = new Uint8Array(1024)

  constructor(options: BpeOptions) {
    this.#options = options
    this.#merges = options.merges
  }

  encode(word: string, out: IdBuffer): void {
    const cached = this.#cache.get(word)
    if (cached !== undefined) {
      out.append(cached, cached.length)
      return
    }
    const count = this.#encodeWord(word)
    out.append(this.#symbols, count)
    if (word.length <= maxCachedChars) {
      if (this.#cache.size >= maxCachedWords) this.#cache.clear()
      this.#cache.set(word, this.#symbols.slice(0, count))
    }
  }

  /** Leaves the ids in #symbols and returns how many. */
  #encodeWord(word: string): number {
    this.#reserve(word.length * 3 + 1)
    const whole = this.#wholeWord(word)
    if (whole >= 0) {
      this.#symbols[0] = whole
      return 1
    }
    const { alphabet } = this.#options
    const count =
      alphabet.kind === 'bytes'
        ? this.#byteSymbols(word, alphabet.idOfByte, alphabet.mapped)
        : this.#charSymbols(word, alphabet.idOfChar, alphabet.idOfByte)
    if (count < 2) return count
    return count <= maxScanSymbols ? this.#mergeByScan(count) : this.#mergeByQueue(count)
  }

  #wholeWord(word: string): number {
    const whole = this.#options.wholeWords
    if (whole === undefined || !whole.ignores(word)) return -1
    return whole.table.find(this.#bytes, 0, this.#writeBytes(word))
  }

  #writeBytes(word: string): number {
    const { alphabet } = this.#options
    if (alphabet.kind === 'bytes' && alphabet.mapped) {
      for (let i = 0; i < word.length; i++) {
        this.#bytes[i] = byteOfChar[word.charCodeAt(i)] ?? 0
      }
      return word.length
    }
    return this.#encoder.encodeInto(word, this.#bytes).written
  }

  #byteSymbols(word: string, idOfByte: Int32Array, mapped: boolean): number {
    const symbols = this.#symbols
    let count = 0
    let isAscii = !mapped
    for (let i = 0; isAscii && i < word.length; i++) {
      const code = word.charCodeAt(i)
      if (code >= 0x80) {
        isAscii = false
      } else {
        const id = idOfByte[code] ?? -1
        if (id >= 0) symbols[count++] = id
        else count = this.#unknown(count)
      }
    }
    if (isAscii) return count
    count = 0
    const length = this.#writeBytes(word)
    for (let i = 0; i < length; i++) {
      const id = idOfByte[this.#bytes[i] ?? 0] ?? -1
      if (id >= 0) symbols[count++] = id
      else count = this.#unknown(count)
    }
    return count
  }

  #charSymbols(
    word: string,
    idOfChar: (codePoint: number) => number,
    idOfByte: Int32Array | undefined,
  ): number {
    const symbols = this.#symbols
    let count = 0
    for (let i = 0; i < word.length; ) {
      const codePoint = word.codePointAt(i) ?? 0
      const width = codePoint > 0xffff ? 2 : 1
      const id = idOfChar(codePoint)
      if (id >= 0) {
        symbols[count++] = id
      } else {
        const bytes = idOfByte && this.#encoder.encodeInto(word.slice(i, i + width), this.#bytes)
        let complete = bytes !== undefined
        for (let b = 0; bytes && b < bytes.written; b++) {
          if ((idOfByte[this.#bytes[b] ?? 0] ?? -1) < 0) complete = false
        }
        if (bytes && complete) {
          for (let b = 0; b < bytes.written; b++) {
            symbols[count++] = idOfByte[this.#bytes[b] ?? 0] ?? 0
          }
        } else {
          count = this.#unknown(count)
        }
      }
      i += width
    }
    return count
  }

  /** Without an unknown token, what cannot be said is left out. */
  #unknown(count: number): number {
    const { unkId, fuseUnk } = this.#options
    if (unkId === undefined) return count
    if (fuseUnk && count > 0 && this.#symbols[count - 1] === unkId) return count
    this.#symbols[count] = unkId
    return count + 1
  }

  #mergeByScan(n: number): number {
    const symbols = this.#symbols
    const ranks = this.#ranks
    const merges = this.#merges
    let count = n
    for (let i = 0; i + 1 < count; i++) {
      ranks[i] = merges.rank(symbols[i] ?? 0, symbols[i + 1] ?? 0)
    }
    for (;;) {
      let best = -1
      let bestRank = -1
      for (let i = 0; i + 1 < count; i++) {
        const rank = ranks[i] ?? -1
        if (rank >= 0 && (bestRank < 0 || rank < bestRank)) {
          bestRank = rank
          best = i
        }
      }
      if (best < 0) return count
      symbols[best] = merges.result[bestRank] ?? 0
      symbols.copyWithin(best + 1, best + 2, count)
      ranks.copyWithin(best + 1, best + 2, count)
      count -= 1
      if (best + 1 < count) {
        ranks[best] = merges.rank(symbols[best] ?? 0, symbols[best + 1] ?? 0)
      }
      if (best > 0) {
        ranks[best - 1] = merges.rank(symbols[best - 1] ?? 0, symbols[best] ?? 0)
      }
    }
  }

  #mergeByQueue(n: number): number {
    const symbols = this.#symbols
    const ranks = this.#ranks
    const next = this.#next
    const previous = this.#previous
    const queue = this.#queue
    const merges = this.#merges
    /** Rank of the pair that starts at each living symbol; an entry of another rank is stale. */
    const update = (i: number) => {
      const j = next[i] ?? n
      const rank = j < n ? merges.rank(symbols[i] ?? 0, symbols[j] ?? 0) : -1
      ranks[i] = rank
      if (rank >= 0) queue.push(rank, i)
    }
    for (let i = 0; i < n; i++) {
      next[i] = i + 1
      previous[i] = i - 1
    }
    for (let i = 0; i < n; i++) update(i)
    while (queue.size > 0) {
      const key = queue.pop()
      const i = positionOf(key)
      const rank = rankOf(key)
      if (ranks[i] !== rank) continue
      const j = next[i] ?? n
      const after = next[j] ?? n
      symbols[i] = merges.result[rank] ?? 0
      ranks[j] = -1
      next[i] = after
      if (after < n) previous[after] = i
      update(i)
      const before = previous[i] ?? -1
      if (before >= 0) update(before)
    }
    let count = 0
    for (let i = 0; i < n; i = next[i] ?? n) symbols[count++] = symbols[i] ?? 0
    return count
  }

  #reserve(n: number): void {
    if (n <= this.#symbols.length) return
    const size = Math.max(n, this.#symbols.length * 2)
    this.#symbols = new Int32Array(size)
    this.#ranks = new Int32Array(size)
    this.#next = new Int32Array(size)
    this.#previous = new Int32Array(size)
    this.#bytes = new Uint8Array(size)
  }
}
