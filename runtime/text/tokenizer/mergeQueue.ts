/** 2^32: positions below it fit beside a rank in the 53 bits of a double. */
const positions = 2 ** 32

/**
 * Binary min-heap of (rank, position): the pair to merge next is the one of lowest rank, and of those the leftmost.
 * Entries are not removed when they become stale; the caller checks what it pops.
 */
export class MergeQueue {
  #keys = new Float64Array(256)
  #size = 0

  get size(): number {
    return this.#size
  }

  push(rank: number, position: number): void {
    if (this.#size === this.#keys.length) {
      const grown = new Float64Array(this.#keys.length * 2)
      grown.set(this.#keys)
      this.#keys = grown
    }
    const keys = this.#keys
    const key = rank * positions + position
    let i = this.#size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      const parentKey = keys[parent] ?? 0
      if (parentKey <= key) break
      keys[i] = parentKey
      i = parent
    }
    keys[i] = key
  }

  /** Removes the least entry; split it with `rankOf` and `positionOf`. Only when `size` > 0. */
  pop(): number {
    const keys = this.#keys
    const least = keys[0] ?? 0
    const size = --this.#size
    const key = keys[size] ?? 0
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++
      const childKey = keys[child] ?? 0
      if (childKey >= key) break
      keys[i] = childKey
      i = child
    }
    keys[i] = key
    return least
  }
}

export function rankOf(key: number): number {
  return Math.floor(key / positions)
}

export function positionOf(key: number): number {
  return key % positions
}
