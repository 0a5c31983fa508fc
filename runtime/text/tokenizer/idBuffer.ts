/** A growing list of token ids. */
export class IdBuffer {
  #ids = new Int32Array(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(id: number): void {
    if (this.#length === this.#ids.length) this.#grow(1)
    this.#ids[this.#length++] = id
  }

  /** Appends ids[0, count). */
  append(ids: Int32Array, count: number): void {
    if (this.#length + count > this.#ids.length) this.#grow(count)
    const target = this.#ids
    let length = this.#length
    for (let i = 0; i < count; i++) target[length++] = ids[i] ?? 0
    this.#length = length
  }

  /** A copy of the ids from a position on. */
  slice(start = 0): Int32Array<ArrayBuffer> {
    return this.#ids.slice(start, this.#length)
  }

  #grow(extra: number): void {
    const grown = new Int32Array(Math.max(this.#ids.length * 2, this.#length + extra))
    grown.set(this.#ids.subarray(0, this.#length))
    this.#ids = grown
  }
}
