import type { FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FileFormatError } from './fileFormatError.ts'

/** Largest vocabulary seen so far makes a 16 MB header; beyond this a file is hostile or not a model. */
const maxHeaderBytes = 256 * 2 ** 20
const firstReadBytes = 2 ** 20
const maxKeyBytes = 2 ** 16
/** The parser hands the event loop back after this long. */
const sliceMs = 6

/** The file's first bytes, read on demand in doubling steps, with a cursor over them. */
export class GgufHeaderReader {
  readonly path: string
  readonly size: number
  position = 0
  readonly #file: FileHandle
  #buffer: Buffer = Buffer.alloc(0)
  #sliceStart = performance.now()
  readonly #fatalDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  constructor(path: string, file: FileHandle, size: number) {
    this.path = path
    this.#file = file
    this.size = size
  }

  error(reason: string): FileFormatError {
    return new FileFormatError(this.path, reason)
  }

  /** Makes the next n bytes readable by the synchronous readers below. */
  async need(n: number, what: string): Promise<void> {
    if (this.has(n)) return
    const end = this.position + n
    if (end > this.size) {
      throw this.error(`the file ends at byte ${this.size} inside ${what}: truncated or corrupt`)
    }
    if (end > maxHeaderBytes) throw this.error(`the header is larger than ${maxHeaderBytes} bytes`)
    const target = Math.min(
      this.size,
      maxHeaderBytes,
      Math.max(end, firstReadBytes, this.#buffer.length * 2),
    )
    const grown = Buffer.allocUnsafeSlow(target)
    this.#buffer.copy(grown)
    let filled = this.#buffer.length
    while (filled < target) {
      const { bytesRead } = await this.#file.read(grown, filled, target - filled, filled)
      if (bytesRead === 0) throw this.error('the file became shorter while it was read')
      filled += bytesRead
    }
    this.#buffer = grown
    this.#sliceStart = performance.now()
  }

  async pause(): Promise<void> {
    if (performance.now() - this.#sliceStart < sliceMs) return
    await nextTurn()
    this.#sliceStart = performance.now()
  }

  /** Whether the next n bytes can be read already, so that a loop over many entries need not await `need` for each. */
  has(n: number): boolean {
    return this.position + n <= this.#buffer.length
  }

  /** The next n bytes, a view. */
  take(n: number): Buffer {
    const start = this.position
    this.position += n
    return this.#buffer.subarray(start, this.position)
  }

  /** Bytes from `start` to the cursor, a view. */
  since(start: number): Buffer {
    return this.#buffer.subarray(start, this.position)
  }

  u32(): number {
    const value = this.#buffer.readUInt32LE(this.position)
    this.position += 4
    return value
  }

  u64(): number | bigint {
    const value = this.#buffer.readBigUInt64LE(this.position)
    this.position += 8
    return exactNumber(value)
  }

  /** A 64-bit count of things that take at least `least` bytes each; bounded by the bytes left. */
  count(what: string, least: number): number {
    const n = this.u64()
    if (typeof n === 'bigint' || n * least > this.size - this.position) {
      throw this.error(`claims ${n} ${what}, more than the file can hold: truncated or corrupt`)
    }
    return n
  }

  /** A key or tensor name. */
  async name(what: string): Promise<string> {
    await this.need(8, what)
    const length = this.u64()
    if (length === 0) throw this.error(`${what} is empty`)
    if (length > maxKeyBytes) {
      throw this.error(`${what} is ${length} bytes long, at most ${maxKeyBytes}`)
    }
    const bytes = Number(length)
    await this.need(bytes, what)
    try {
      return this.#fatalDecoder.decode(this.take(bytes))
    } catch (cause) {
      throw new FileFormatError(this.path, `${what} is not UTF-8`, { cause })
    }
  }
}

/** A number where that is exact, else the bigint. */
export function exactNumber(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER
    ? Number(value)
    : value
}
