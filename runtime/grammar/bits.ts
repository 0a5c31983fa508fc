/** Allows a token in a mask of [ceil(V / 32)] words. */
export function setBit(words: Uint32Array, id: number): void {
  words[id >> 5] = (words[id >> 5] ?? 0) | (1 << (id & 31))
}
