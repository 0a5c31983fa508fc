import type { IdBuffer } from './idBuffer.ts'
import type { TextModel } from './textModel.ts'
import { prefixHashes, type TokenTable } from './tokenTable.ts'

/** How much worse than the worst token an unknown character is. */
const unkPenalty = 10

export interface UnigramOptions {
  table: TokenTable
  /** [V] log-probabilities. */
  scores: Float64Array
  unkId: number
  /** [256] tokens of raw bytes, tried before the unknown token; -1 where there is none. */
  idOfByte: Int32Array | undefined
}

/**
 * Unigram language model: the segmentation of highest total score, by Viterbi over characters. n bytes, m = longest
 * token: O(n m) look-ups.
 * Source: Kudo 2018; scoring of unknown characters as in SentencePiece `unigram_model.cc`.
 */
export class UnigramModel implements TextModel {
  readonly #options: UnigramOptions
  readonly #unkScore: number
  readonly #encoder = new TextEncoder()

  constructor(options: UnigramOptions) {
    this.#options = options
    let least = Number.POSITIVE_INFINITY
    for (const score of options.scores) if (score < least) least = score
    this.#unkScore = least - unkPenalty
  }

  encode(word: string, out: IdBuffer): void {
    const { table, scores, unkId } = this.#options
    const bytes = this.#encoder.encode(word)
    const n = bytes.length
    const hashes = prefixHashes(bytes, n)
    const best = new Float64Array(n + 1).fill(Number.NEGATIVE_INFINITY)
    const from = new Int32Array(n + 1)
    const tokenAt = new Int32Array(n + 1).fill(-1)
    best[0] = 0
    const offer = (start: number, end: number, id: number, score: number) => {
      const total = (best[start] ?? 0) + score
      if (total > (best[end] ?? 0)) {
        best[end] = total
        from[end] = start
        tokenAt[end] = id
      }
    }
    for (let start = 0; start < n; ) {
      const width = characterWidth(bytes[start] ?? 0)
      let hasSingle = false
      const last = Math.min(n, start + table.maxTokenBytes)
      for (let end = start + 1; end <= last; end++) {
        if (end < n && ((bytes[end] ?? 0) & 0xc0) === 0x80) continue
        const hash = table.rangeHash(hashes[start] ?? 0, hashes[end] ?? 0, end - start)
        const id = table.findHashed(hash, bytes, start, end)
        if (id < 0) continue
        if (end === start + width) hasSingle = true
        offer(start, end, id, scores[id] ?? 0)
      }
      if (!hasSingle) offer(start, Math.min(n, start + width), unkId, this.#unkScore)
      start += width
    }
    this.#emit(bytes, from, tokenAt, out)
  }

  /** Backtracks; a run of unknown characters is one piece. */
  #emit(bytes: Uint8Array, from: Int32Array, tokenAt: Int32Array, out: IdBuffer): void {
    const { unkId } = this.#options
    const path: { id: number; start: number; end: number }[] = []
    for (let end = bytes.length; end > 0; ) {
      const start = from[end] ?? 0
      const id = tokenAt[end] ?? unkId
      const following = path.at(-1)
      if (id === unkId && following?.id === unkId) following.start = start
      else path.push({ id, start, end })
      end = start
    }
    for (const { id, start, end } of path.reverse()) {
      if (id !== unkId || !this.#pushBytes(bytes, start, end, out)) out.push(id)
    }
  }

  #pushBytes(bytes: Uint8Array, start: number, end: number, out: IdBuffer): boolean {
    const { idOfByte } = this.#options
    if (idOfByte === undefined) return false
    const ids = Array.from(bytes.subarray(start, end), byte => idOfByte[byte] ?? -1)
    if (ids.some(id => id < 0)) return false
    for (const id of ids) out.push(id)
    return true
  }
}

function characterWidth(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}
