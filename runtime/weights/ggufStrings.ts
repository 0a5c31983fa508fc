const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * An array of strings as it lies in a GGUF file: bytes and positions, decoded one by one on demand. A vocabulary has
 * hundreds of thousands of entries, most of which are never looked at as a string.
 */
export class GgufStrings implements Iterable<string> {
  readonly length: number
  /** The entries with the 8-byte length before each. */
  readonly #data: Uint8Array
  /** Start of entry i; one more than entries, the last being the end of the data plus 8. */
  readonly #starts: Uint32Array

  constructor(data: Uint8Array, starts: Uint32Array) {
    this.length = starts.length - 1
    this.#data = data
    this.#starts = starts
  }

  /** Raw bytes of entry i, a view; empty when out of range. */
  bytes(i: number): Uint8Array {
    const start = this.#starts[i]
    const next = this.#starts[i + 1]
    return start === undefined || next === undefined
      ? new Uint8Array(0)
      : this.#data.subarray(start, next - 8)
  }

  /** Entry i, invalid UTF-8 replaced by U+FFFD. */
  at(i: number): string | undefined {
    const start = this.#starts[i]
    const next = this.#starts[i + 1]
    if (start === undefined || next === undefined) return undefined
    const end = next - 8
    // Most tokens are short ASCII; TextDecoder costs about a microsecond a call.
    if (end - start <= 24) {
      let text = ''
      let j = start
      for (; j < end; j++) {
        const byte = this.#data[j] ?? 0
        if (byte >= 0x80) break
        text += String.fromCharCode(byte)
      }
      if (j === end) return text
    }
    return decoder.decode(this.#data.subarray(start, end))
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let i = 0; i < this.length; i++) yield this.at(i) ?? ''
  }
}
