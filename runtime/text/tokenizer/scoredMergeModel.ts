import type { IdBuffer } from './idBuffer.ts'
import { MergeQueue, positionOf, rankOf } from './mergeQueue.ts'
import type { TextModel } from './textModel.ts'
import { prefixHashes, type TokenTable } from './tokenTable.ts'

/**
 * SentencePiece's BPE as GGUF files store it: no list of merges, but a score for every token. Neighbours merge when
 * together they are a token, the best score first, of equal ones the leftmost.
 * Source: SentencePiece `bpe_model.cc`.
 */
export class ScoredMergeModel implements TextModel {
  readonly #table: TokenTable
  readonly #rankOfToken: Int32Array
  readonly #idOfByte: Int32Array
  readonly #unkId: number | undefined
  readonly #encoder = new TextEncoder()
  readonly #queue = new MergeQueue()

  /**
   * @param scores [V], higher merges first
   * @param idOfByte [256], tokens of raw bytes for characters that are no token, -1 where there is none
   */
  constructor(
    table: TokenTable,
    scores: Float32Array,
    idOfByte: Int32Array,
    unkId: number | undefined,
  ) {
    this.#table = table
    this.#rankOfToken = ranks(scores)
    this.#idOfByte = idOfByte
    this.#unkId = unkId
  }

  encode(word: string, out: IdBuffer): void {
    const bytes = this.#encoder.encode(word)
    const hashes = prefixHashes(bytes, bytes.length)
    // Symbol i is bytes[starts[i], starts[next symbol]); its token id, or -1.
    const starts = characterStarts(bytes)
    const n = starts.length - 1
    const next = new Int32Array(n)
    const previous = new Int32Array(n)
    const pairRank = new Int32Array(n)
    const pairId = new Int32Array(n)
    const symbolId = new Int32Array(n)
    const end = (i: number) => starts[next[i] ?? n] ?? bytes.length

    const find = (from: number, to: number) => {
      const length = to - from
      if (length > this.#table.maxTokenBytes) return -1
      const hash = this.#table.rangeHash(hashes[from] ?? 0, hashes[to] ?? 0, length)
      return this.#table.findHashed(hash, bytes, from, to)
    }
    const update = (i: number) => {
      const j = next[i] ?? n
      const id = j < n ? find(starts[i] ?? 0, end(j)) : -1
      pairId[i] = id
      pairRank[i] = id < 0 ? -1 : (this.#rankOfToken[id] ?? 0)
      if (id >= 0) this.#queue.push(pairRank[i] ?? 0, i)
    }

    for (let i = 0; i < n; i++) {
      next[i] = i + 1
      previous[i] = i - 1
      symbolId[i] = find(starts[i] ?? 0, starts[i + 1] ?? 0)
    }
    for (let i = 0; i < n; i++) update(i)
    while (this.#queue.size > 0) {
      const key = this.#queue.pop()
      const i = positionOf(key)
      if (pairRank[i] !== rankOf(key)) continue
      const j = next[i] ?? n
      const after = next[j] ?? n
      symbolId[i] = pairId[i] ?? -1
      pairRank[j] = -1
      next[i] = after
      if (after < n) previous[after] = i
      update(i)
      const before = previous[i] ?? -1
      if (before >= 0) update(before)
    }
    for (let i = 0; i < n; i = next[i] ?? n) {
      const id = symbolId[i] ?? -1
      if (id >= 0) out.push(id)
      else this.#pushBytes(bytes, starts[i] ?? 0, end(i), out)
    }
  }

  #pushBytes(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    for (let i = start; i < end; i++) {
      const id = this.#idOfByte[bytes[i] ?? 0] ?? -1
      if (id >= 0) out.push(id)
      else if (this.#unkId !== undefined) out.push(this.#unkId)
    }
  }
}

/** Scores as ranks, 0 the highest; equal scores share a rank. */
function ranks(scores: Float32Array): Int32Array {
  const distinct = Float32Array.from(new Set(scores)).sort().reverse()
  const rankOfScore = new Map<number, number>()
  for (const [rank, score] of distinct.entries()) rankOfScore.set(score, rank)
  return Int32Array.from(scores, score => rankOfScore.get(score) ?? 0)
}

/** Byte position of every character of valid UTF-8, and the end. */
function characterStarts(bytes: Uint8Array): Int32Array {
  const starts = new Int32Array(bytes.length + 1)
  let count = 0
  for (let i = 0; i < bytes.length; i++) {
    if (((bytes[i] ?? 0) & 0xc0) !== 0x80) starts[count++] = i
  }
  starts[count] = bytes.length
  return starts.subarray(0, count + 1)
}
