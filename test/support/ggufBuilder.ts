import { ggmlTypeName, ggmlTypes } from '../../runtime/weights/ggmlTypes.ts'

interface TensorSpec {
  name: string
  type: number
  shape: number[]
  /** Relative to the data; by default after the tensor before. */
  offset?: bigint
}

/** Writes small GGUF files for tests, sound ones and broken ones. */
export class GgufBuilder {
  readonly #pairs: Buffer[] = []
  readonly #tensors: TensorSpec[] = []
  #alignment = 32

  string(key: string, value: string): this {
    return this.#pair(key, 8, text(value))
  }

  uint32(key: string, value: number): this {
    if (key === 'general.alignment') this.#alignment = value
    return this.#pair(key, 4, u32(value))
  }

  uint64(key: string, value: bigint): this {
    return this.#pair(key, 10, u64(value))
  }

  bool(key: string, value: boolean): this {
    return this.rawBool(key, value ? 1 : 0)
  }

  rawBool(key: string, byte: number): this {
    return this.#pair(key, 7, Buffer.from([byte]))
  }

  strings(key: string, values: string[]): this {
    return this.#pair(key, 9, u32(8), u64(BigInt(values.length)), ...values.map(text))
  }

  floats(key: string, values: number[]): this {
    const bytes = Buffer.from(Float32Array.from(values).buffer)
    return this.#pair(key, 9, u32(6), u64(BigInt(values.length)), bytes)
  }

  int32s(key: string, values: number[]): this {
    const bytes = Buffer.from(Int32Array.from(values).buffer)
    return this.#pair(key, 9, u32(5), u64(BigInt(values.length)), bytes)
  }

  /** An array that claims `length` entries and has none. */
  arrayHeader(key: string, type: number, length: bigint): this {
    return this.#pair(key, 9, u32(type), u64(length))
  }

  nestedArrays(key: string, depth: number): this {
    const levels = Array.from({ length: depth }, () => [u32(9), u64(1n)]).flat()
    return this.#pair(key, 9, ...levels, u32(4), u64(0n))
  }

  tensor(spec: TensorSpec): this {
    this.#tensors.push(spec)
    return this
  }

  build(options: { version?: number; numTensors?: bigint; numPairs?: bigint } = {}): Buffer {
    const infos: Buffer[] = []
    let dataBytes = 0
    for (const { name, type, shape, offset } of this.#tensors) {
      const known = ggmlTypeName(type)
      const { blockSize, blockBytes } = known ? ggmlTypes[known] : { blockSize: 1, blockBytes: 4 }
      const elements = shape.reduce((product, dim) => product * dim, 1)
      infos.push(text(name), u32(shape.length), ...shape.map(dim => u64(BigInt(dim))))
      infos.push(u32(type), u64(offset ?? BigInt(dataBytes)))
      const bytes = Math.ceil(elements / blockSize) * blockBytes
      if (offset === undefined && bytes < 2 ** 20) dataBytes += this.#padded(bytes)
    }
    const header = Buffer.concat([
      Buffer.from('GGUF'),
      u32(options.version ?? 3),
      u64(options.numTensors ?? BigInt(this.#tensors.length)),
      u64(options.numPairs ?? BigInt(this.#pairs.length)),
      ...this.#pairs,
      ...infos,
    ])
    const padding = Buffer.alloc(this.#padded(header.length) - header.length + dataBytes)
    return Buffer.concat([header, padding])
  }

  #padded(bytes: number): number {
    return Math.ceil(bytes / this.#alignment) * this.#alignment
  }

  #pair(key: string, type: number, ...value: Buffer[]): this {
    this.#pairs.push(Buffer.concat([text(key), u32(type), ...value]))
    return this
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([u64(BigInt(bytes.length)), bytes])
}
