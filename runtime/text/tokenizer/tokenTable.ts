/** Odd multiplier of the rolling hash; collisions only cost a comparison, never a wrong id. */
const multiplier = 0x01000193

/**
 * Token bytes -> id, without a JavaScript string per token. The hash rolls, so the hash of two tokens joined follows
 * from theirs: a merge list resolves without building strings. V tokens.
 */
export class TokenTable {
  readonly #bytes: Uint8Array
  readonly #offsets: Uint32Array
  readonly #hashes: Int32Array
  /** Open addressing; id + 1, 0 = empty. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** multiplier^i, up to the longest token. */
  readonly #powers: Int32Array
  readonly maxTokenBytes: number

  /**
   * @param bytes text of all tokens, one after the other
   * @param offsets [V + 1], token i is bytes[offsets[i], offsets[i + 1])
   * @param includes tokens that can be found; of equal ones the first counts
   */
  constructor(bytes: Uint8Array, offsets: Uint32Array, includes: (id: number) => boolean) {
    const numTokens = offsets.length - 1
    this.#bytes = bytes
    this.#offsets = offsets
    this.#hashes = new Int32Array(numTokens)
    let size = 1024
    while (size < numTokens * 2) size *= 2
    this.#slots = new Int32Array(size)
    this.#mask = size - 1
    let longest = 0
    for (let id = 0; id < numTokens; id++) {
      const start = offsets[id] ?? 0
      const end = offsets[id + 1] ?? 0
      const hash = hashBytes(bytes, start, end)
      this.#hashes[id] = hash
      if (end === start || !includes(id)) continue
      if (end - start > longest) longest = end - start
      if (this.findHashed(hash, bytes, start, end) >= 0) continue
      let slot = mix(hash) & this.#mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = id + 1
    }
    this.maxTokenBytes = longest
    this.#powers = new Int32Array(longest + 1)
    let power = 1
    for (let i = 0; i <= longest; i++) {
      this.#powers[i] = power
      power = Math.imul(power, multiplier)
    }
  }

  /** Id of the token with exactly these bytes, or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    if (end - start > this.maxTokenBytes) return -1
    return this.findHashed(hashBytes(bytes, start, end), bytes, start, end)
  }

  /** As `find`, with the hash at hand. */
  findHashed(hash: number, bytes: Uint8Array, start: number, end: number): number {
    let slot = mix(hash) & this.#mask
    for (;;) {
      const id = (this.#slots[slot] ?? 0) - 1
      if (id < 0) return -1
      if (this.#hashes[id] === hash && this.#equals(id, bytes, start, end)) return id
      slot = (slot + 1) & this.#mask
    }
  }

  /** Id of the token that is token a followed by token b, or -1. */
  findConcat(a: number, b: number): number {
    const startA = this.#offsets[a] ?? 0
    const lengthA = (this.#offsets[a + 1] ?? 0) - startA
    const startB = this.#offsets[b] ?? 0
    const lengthB = (this.#offsets[b + 1] ?? 0) - startB
    const length = lengthA + lengthB
    if (length > this.maxTokenBytes) return -1
    const hash =
      (Math.imul(this.#hashes[a] ?? 0, this.#powers[lengthB] ?? 0) + (this.#hashes[b] ?? 0)) | 0
    let slot = mix(hash) & this.#mask
    for (;;) {
      const id = (this.#slots[slot] ?? 0) - 1
      if (id < 0) return -1
      const start = this.#offsets[id] ?? 0
      if (
        this.#hashes[id] === hash &&
        (this.#offsets[id + 1] ?? 0) - start === length &&
        equalBytes(this.#bytes, start, this.#bytes, startA, lengthA) &&
        equalBytes(this.#bytes, start + lengthA, this.#bytes, startB, lengthB)
      ) {
        return id
      }
      slot = (slot + 1) & this.#mask
    }
  }

  /** Hash of bytes[start, end) from the hashes of bytes[0, start) and bytes[0, end); at most `maxTokenBytes` long. */
  rangeHash(prefixAtStart: number, prefixAtEnd: number, length: number): number {
    return (prefixAtEnd - Math.imul(prefixAtStart, this.#powers[length] ?? 0)) | 0
  }

  #equals(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#offsets[id] ?? 0
    const length = (this.#offsets[id + 1] ?? 0) - from
    return length === end - start && equalBytes(this.#bytes, from, bytes, start, length)
  }
}

/** Look-up of tokens that are one character, -1 for others; remembers the answers for the basic plane. */
export function characterLookup(table: TokenTable): (codePoint: number) => number {
  const unknown = -2
  const known = new Int32Array(0x10000).fill(unknown)
  const scratch = new Uint8Array(4)
  const encoder = new TextEncoder()
  const find = (codePoint: number) => {
    const { written } = encoder.encodeInto(String.fromCodePoint(codePoint), scratch)
    return table.find(scratch, 0, written)
  }
  return codePoint => {
    if (codePoint > 0xffff) return find(codePoint)
    let id = known[codePoint] ?? unknown
    if (id === unknown) {
      id = find(codePoint)
      known[codePoint] = id
    }
    return id
  }
}

/** Rolling hash of every prefix of bytes[0, n), [n + 1]. */
export function prefixHashes(bytes: Uint8Array, n: number): Int32Array {
  const hashes = new Int32Array(n + 1)
  let hash = 0
  for (let i = 0; i < n; i++) {
    hash = (Math.imul(hash, multiplier) + (bytes[i] ?? 0) + 1) | 0
    hashes[i + 1] = hash
  }
  return hashes
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0
  for (let i = start; i < end; i++) hash = (Math.imul(hash, multiplier) + (bytes[i] ?? 0) + 1) | 0
  return hash
}

/** Spreads the rolling hash, whose low bits depend on few bytes, over all bits (MurmurHash3 finalizer). */
function mix(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function equalBytes(
  a: Uint8Array,
  startA: number,
  b: Uint8Array,
  startB: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[startA + i] !== b[startB + i]) return false
  return true
}
