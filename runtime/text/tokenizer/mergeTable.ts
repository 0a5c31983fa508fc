/** Pairs of token ids that merge, by rank: (left, right) -> rank, and what the merge of that rank makes. */
export class MergeTable {
  readonly #left: Int32Array
  readonly #right: Int32Array
  /** [merges], id made by the merge of a rank. */
  readonly result: Int32Array
  /** Open addressing; rank + 1, 0 = empty. */
  readonly #slots: Int32Array
  readonly #mask: number
  #count = 0

  constructor(capacity: number) {
    this.#left = new Int32Array(capacity)
    this.#right = new Int32Array(capacity)
    this.result = new Int32Array(capacity)
    let size = 1024
    while (size < capacity * 2) size *= 2
    this.#slots = new Int32Array(size)
    this.#mask = size - 1
  }

  /** Adds the merge of the next rank; of equal pairs the first counts. */
  add(left: number, right: number, result: number): void {
    const rank = this.#count++
    this.#left[rank] = left
    this.#right[rank] = right
    this.result[rank] = result
    let slot = hashPair(left, right) & this.#mask
    for (;;) {
      const other = (this.#slots[slot] ?? 0) - 1
      if (other < 0) break
      if (this.#left[other] === left && this.#right[other] === right) return
      slot = (slot + 1) & this.#mask
    }
    this.#slots[slot] = rank + 1
  }

  /** Rank of the pair, or -1. */
  rank(left: number, right: number): number {
    let slot = hashPair(left, right) & this.#mask
    for (;;) {
      const rank = (this.#slots[slot] ?? 0) - 1
      if (rank < 0) return -1
      if (this.#left[rank] === left && this.#right[rank] === right) return rank
      slot = (slot + 1) & this.#mask
    }
  }
}

function hashPair(left: number, right: number): number {
  let h = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
  h ^= h >>> 15
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 13)
}
