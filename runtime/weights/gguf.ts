import type { FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FileFormatError } from './fileFormatError.ts'
import {
  describeUnsupportedGgmlType,
  type GgmlTypeName,
  ggmlTypeName,
  ggmlTypes,
} from './ggmlTypes.ts'
import { GgufStrings } from './ggufStrings.ts'
import { openModelFile } from './modelFile.ts'

/** Integers beyond 2^53 are bigint; arrays of numbers are typed arrays of the file's width. */
export type GgufValue = number | bigint | boolean | string | GgufArray
export type GgufArray = GgufNumbers | boolean[] | GgufStrings | GgufArray[]
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array

export interface GgufTensor {
  name: string
  type: GgmlTypeName
  /** ggml order, fastest dimension first; `cols` = shape[0], `rows` = the product of the others. */
  shape: number[]
  rows: number
  cols: number
  /** Absolute position in the file, and length. */
  offset: number
  bytes: number
}

export interface GgufFile {
  path: string
  version: number
  metadata: Map<string, GgufValue>
  tensors: GgufTensor[]
  alignment: number
}

/** Largest vocabulary seen so far makes a 16 MB header; beyond this a file is hostile or not a model. */
const maxHeaderBytes = 256 * 2 ** 20
const firstReadBytes = 2 ** 20
const maxKeyBytes = 2 ** 16
const maxDims = 4
const maxArrayDepth = 4
/** The parser hands the event loop back after this long. */
const sliceMs = 6
const magic = 0x46554747

const valueTypeNames = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
  'uint64',
  'int64',
  'float64',
] as const
type ValueType = (typeof valueTypeNames)[number]

/** Least bytes of one value, to bound a count by the bytes that are left. */
const leastBytes: Record<ValueType, number> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: 8,
  array: 12,
  uint64: 8,
  int64: 8,
  float64: 8,
}

/**
 * Reads the header of a GGUF file: metadata and the table of tensors, not the tensors. Every count, length and offset is
 * checked against the bytes there are before it is used; works in slices so that the event loop stays free.
 * @throws FileFormatError for anything that is not a sound little-endian GGUF of version 2 or 3; file system errors as
 * they come
 * Source: the GGUF specification (ggml `docs/gguf.md`).
 */
export async function readGguf(path: string): Promise<GgufFile> {
  const { file, size } = await openModelFile(path)
  try {
    return await parse(new HeaderReader(path, file, size))
  } finally {
    await file.close()
  }
}

async function parse(reader: HeaderReader): Promise<GgufFile> {
  await reader.need(8, 'the magic number and version')
  if (reader.u32() !== magic) throw reader.error('not a GGUF file (wrong magic number)')
  const version = reader.u32()
  if (version !== 2 && version !== 3) {
    const hint = version !== 0 && (version & 0xffff) === 0 ? ' (a big-endian file?)' : ''
    throw reader.error(`GGUF version ${version} is not supported, only 2 and 3${hint}`)
  }
  await reader.need(16, 'the counts')
  const numTensors = reader.count('tensors', 24)
  const numPairs = reader.count('metadata pairs', 13)

  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < numPairs; i++) {
    const key = await reader.name(`the key of metadata pair ${i}`)
    if (metadata.has(key)) throw reader.error(`duplicate metadata key "${key}"`)
    const what = `metadata "${key}"`
    await reader.need(4, what)
    metadata.set(key, await reader.value(reader.valueType(what), what, 0))
    await reader.pause()
  }

  const alignment = readAlignment(reader, metadata)
  const tensors: GgufTensor[] = []
  const names = new Set<string>()
  for (let i = 0; i < numTensors; i++) {
    const tensor = await readTensorInfo(reader, i)
    if (names.has(tensor.name)) throw reader.error(`duplicate tensor "${tensor.name}"`)
    names.add(tensor.name)
    tensors.push(tensor)
    await reader.pause()
  }
  placeTensors(reader, tensors, alignment)
  return { path: reader.path, version, metadata, tensors, alignment }
}

function readAlignment(reader: HeaderReader, metadata: Map<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? 32
  const isPowerOfTwo =
    typeof alignment === 'number' &&
    Number.isInteger(alignment) &&
    alignment > 0 &&
    alignment <= 2 ** 30 &&
    (alignment & (alignment - 1)) === 0
  if (!isPowerOfTwo) throw reader.error(`general.alignment ${alignment} is not a power of two`)
  return alignment
}

/** One entry of the tensor table; `offset` is still relative to the start of the data. */
async function readTensorInfo(reader: HeaderReader, index: number): Promise<GgufTensor> {
  const name = await reader.name(`the name of tensor ${index}`)
  const what = `tensor "${name}"`
  await reader.need(4, what)
  const numDims = reader.u32()
  if (numDims > maxDims) throw reader.error(`${what} has ${numDims} dimensions, at most ${maxDims}`)
  await reader.need(numDims * 8 + 12, what)
  const shape: number[] = []
  let elements = 1
  for (let d = 0; d < numDims; d++) {
    const dim = reader.u64()
    if (dim === 0n || dim === 0) throw reader.error(`${what} has an empty dimension`)
    elements *= Number(dim)
    if (!Number.isSafeInteger(elements)) throw reader.error(`${what} has an impossible shape`)
    shape.push(Number(dim))
  }
  const typeId = reader.u32()
  const type = ggmlTypeName(typeId)
  if (type === undefined) {
    throw reader.error(`${what} has ${describeUnsupportedGgmlType(typeId)}`)
  }
  const { blockSize, blockBytes } = ggmlTypes[type]
  const cols = shape[0] ?? 1
  if (cols % blockSize !== 0) {
    throw reader.error(
      `${what} has rows of ${cols} values, not a multiple of ${type}'s ${blockSize}`,
    )
  }
  const bytes = (elements / blockSize) * blockBytes
  const offset = reader.u64()
  if (typeof offset === 'bigint' || offset > reader.size) {
    throw reader.error(`${what} starts at ${offset}, beyond the end of the file`)
  }
  return { name, type, shape, rows: elements / cols, cols, offset, bytes }
}

/** Makes offsets absolute and checks alignment, bounds and that no two tensors share bytes. */
function placeTensors(reader: HeaderReader, tensors: GgufTensor[], alignment: number): void {
  const dataStart = Math.ceil(reader.position / alignment) * alignment
  for (const tensor of tensors) {
    if (tensor.offset % alignment !== 0) {
      throw reader.error(
        `tensor "${tensor.name}" starts at ${tensor.offset}, not a multiple of the alignment ${alignment}`,
      )
    }
    tensor.offset += dataStart
    const end = tensor.offset + tensor.bytes
    if (!(end <= reader.size)) {
      throw reader.error(
        `tensor "${tensor.name}" ends at byte ${end} but the file has ${reader.size}: truncated or corrupt`,
      )
    }
  }
  const byOffset = tensors.toSorted((a, b) => a.offset - b.offset)
  let previous: GgufTensor | undefined
  for (const tensor of byOffset) {
    if (previous && previous.offset + previous.bytes > tensor.offset) {
      throw reader.error(`tensors "${previous.name}" and "${tensor.name}" overlap`)
    }
    previous = tensor
  }
}

/** The file's first bytes, read on demand in doubling steps, with a cursor over them. */
class HeaderReader {
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
    const end = this.position + n
    if (end <= this.#buffer.length) return
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

  u32(): number {
    const value = this.#buffer.readUInt32LE(this.position)
    this.position += 4
    return value
  }

  u64(): number | bigint {
    const value = this.#buffer.readBigUInt64LE(this.position)
    this.position += 8
    return toNumber(value)
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
    const start = this.position
    this.position += bytes
    try {
      return this.#fatalDecoder.decode(this.#buffer.subarray(start, this.position))
    } catch (cause) {
      throw new FileFormatError(this.path, `${what} is not UTF-8`, { cause })
    }
  }

  valueType(what: string): ValueType {
    const id = this.u32()
    const type = valueTypeNames[id]
    if (type === undefined) throw this.error(`${what} has unknown value type ${id}`)
    return type
  }

  async value(type: ValueType, what: string, depth: number): Promise<GgufValue> {
    if (type === 'array') return this.#array(what, depth)
    await this.need(leastBytes[type], what)
    if (type === 'string') {
      const length = this.count(`bytes in ${what}`, 1)
      await this.need(length, what)
      const start = this.position
      this.position += length
      return this.#buffer.toString('utf8', start, this.position)
    }
    return this.#scalar(type, what)
  }

  #scalar(type: Exclude<ValueType, 'array' | 'string'>, what: string): number | bigint | boolean {
    const at = this.position
    this.position += leastBytes[type]
    switch (type) {
      case 'uint8':
        return this.#buffer.readUInt8(at)
      case 'int8':
        return this.#buffer.readInt8(at)
      case 'uint16':
        return this.#buffer.readUInt16LE(at)
      case 'int16':
        return this.#buffer.readInt16LE(at)
      case 'uint32':
        return this.#buffer.readUInt32LE(at)
      case 'int32':
        return this.#buffer.readInt32LE(at)
      case 'float32':
        return this.#buffer.readFloatLE(at)
      case 'uint64':
        return toNumber(this.#buffer.readBigUInt64LE(at))
      case 'int64':
        return toNumber(this.#buffer.readBigInt64LE(at))
      case 'float64':
        return this.#buffer.readDoubleLE(at)
      case 'bool': {
        const byte = this.#buffer.readUInt8(at)
        if (byte > 1) throw this.error(`${what} is a bool of value ${byte}`)
        return byte === 1
      }
    }
  }

  async #array(what: string, depth: number): Promise<GgufArray> {
    if (depth >= maxArrayDepth) throw this.error(`${what} nests arrays too deeply`)
    await this.need(12, what)
    const type = this.valueType(what)
    const length = this.count(`entries in ${what}`, leastBytes[type])
    if (type === 'string') return this.#strings(length, what)
    if (type === 'array') {
      const nested: GgufArray[] = []
      for (let i = 0; i < length; i++) {
        nested.push(await this.#array(what, depth + 1))
        await this.pause()
      }
      return nested
    }
    const bytes = length * leastBytes[type]
    await this.need(bytes, what)
    const start = this.position
    this.position += bytes
    // A copy, so that it is aligned and does not keep the header alive.
    const raw = new Uint8Array(this.#buffer.subarray(start, start + bytes)).buffer
    if (type !== 'bool') return typedArray(type, raw)
    const flags: boolean[] = []
    for (const byte of new Uint8Array(raw)) {
      if (byte > 1) throw this.error(`${what} has a bool of value ${byte}`)
      flags.push(byte === 1)
    }
    return flags
  }

  async #strings(length: number, what: string): Promise<GgufStrings> {
    const base = this.position
    // Grown as entries are really found: the count is only a claim.
    let starts = new Uint32Array(Math.min(length + 1, 2 ** 16))
    for (let i = 0; i < length; i++) {
      if (this.position + 8 > this.#buffer.length) await this.need(8, what)
      const bytes = this.#buffer.readUInt32LE(this.position)
      if (this.#buffer.readUInt32LE(this.position + 4) !== 0) {
        throw this.error(`entry ${i} of ${what} is longer than the file: truncated or corrupt`)
      }
      this.position += 8
      if (this.position + bytes > this.#buffer.length) await this.need(bytes, what)
      if (i + 1 >= starts.length) {
        const grown = new Uint32Array(Math.min(length + 1, starts.length * 2))
        grown.set(starts)
        starts = grown
      }
      starts[i] = this.position - base
      this.position += bytes
      if ((i & 0xfff) === 0xfff) await this.pause()
    }
    starts[length] = this.position - base + 8
    return new GgufStrings(new Uint8Array(this.#buffer.subarray(base, this.position)), starts)
  }
}

function toNumber(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER
    ? Number(value)
    : value
}

function typedArray(
  type: Exclude<ValueType, 'array' | 'string' | 'bool'>,
  raw: ArrayBuffer,
): GgufNumbers {
  switch (type) {
    case 'uint8':
      return new Uint8Array(raw)
    case 'int8':
      return new Int8Array(raw)
    case 'uint16':
      return new Uint16Array(raw)
    case 'int16':
      return new Int16Array(raw)
    case 'uint32':
      return new Uint32Array(raw)
    case 'int32':
      return new Int32Array(raw)
    case 'float32':
      return new Float32Array(raw)
    case 'uint64':
      return new BigUint64Array(raw)
    case 'int64':
      return new BigInt64Array(raw)
    case 'float64':
      return new Float64Array(raw)
  }
}
