import { concatBytes } from '../http/concatBytes.ts'

const NEWLINE = 0x0a

// Whole lines only: it remembers nothing from one to the next.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Cuts a stream of UTF-8 bytes into lines, wherever its chunks begin and end. */
export class LineSplitter {
  readonly #maxLineBytes: number
  #partial: Uint8Array[] = []
  #partialBytes = 0

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /** Bytes of a line that has begun and not ended. */
  get pendingBytes(): number {
    return this.#partialBytes
  }

  /**
   * Returns the lines that end in this chunk, without their newlines.
   * @throws RangeError for a line longer than the limit, as soon as that is known; TypeError for bytes that are not UTF-8
   */
  push(chunk: Uint8Array): string[] {
    const last = chunk.lastIndexOf(NEWLINE)
    this.#checkLengths(chunk)
    if (last < 0) {
      this.#keep(chunk)
      return []
    }
    // A newline byte is never part of a character, so whole lines can be decoded at once.
    const text = utf8.decode(this.#joined(chunk.subarray(0, last)))
    this.#partial = []
    this.#partialBytes = 0
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1))
    return text.split('\n')
  }

  /** A copy: a part of a chunk would keep the whole buffer it came in alive. */
  #keep(part: Uint8Array): void {
    this.#partial.push(new Uint8Array(part))
    this.#partialBytes += part.length
  }

  #joined(end: Uint8Array): Uint8Array {
    return this.#partialBytes === 0 ? end : concatBytes([...this.#partial, end])
  }

  #checkLengths(chunk: Uint8Array): void {
    if (this.#partialBytes + chunk.length <= this.#maxLineBytes) return
    let start = -this.#partialBytes
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, Math.max(0, start))
      const end = newline < 0 ? chunk.length : newline
      if (end - start > this.#maxLineBytes) {
        throw new RangeError(`a line is longer than ${this.#maxLineBytes} bytes`)
      }
      start = end + 1
    }
  }
}
