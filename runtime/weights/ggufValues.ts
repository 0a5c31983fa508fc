import { exactNumber, type GgufHeaderReader } from './ggufHeaderReader.ts'
import { GgufStrings } from './ggufStrings.ts'

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

const maxArrayDepth = 4

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

function readValueType(reader: GgufHeaderReader, what: string): ValueType {
  const id = reader.u32()
  const type = valueTypeNames[id]
  if (type === undefined) throw reader.error(`${what} has unknown value type ${id}`)
  return type
}

/**
 * Reads a metadata value, from its type on.
 * @param what names it in errors
 * @throws FileFormatError for unknown types, deep nesting and claims of more than the file holds
 */
export async function readGgufValue(reader: GgufHeaderReader, what: string): Promise<GgufValue> {
  await reader.need(4, what)
  const type = readValueType(reader, what)
  if (type === 'array') return readArray(reader, what, 0)
  await reader.need(leastBytes[type], what)
  if (type === 'string') {
    const length = reader.count(`bytes in ${what}`, 1)
    await reader.need(length, what)
    return reader.take(length).toString('utf8')
  }
  return readScalar(reader, type, what)
}

function readScalar(
  reader: GgufHeaderReader,
  type: Exclude<ValueType, 'array' | 'string'>,
  what: string,
): number | bigint | boolean {
  const bytes = reader.take(leastBytes[type])
  switch (type) {
    case 'uint8':
      return bytes.readUInt8()
    case 'int8':
      return bytes.readInt8()
    case 'uint16':
      return bytes.readUInt16LE()
    case 'int16':
      return bytes.readInt16LE()
    case 'uint32':
      return bytes.readUInt32LE()
    case 'int32':
      return bytes.readInt32LE()
    case 'float32':
      return bytes.readFloatLE()
    case 'uint64':
      return exactNumber(bytes.readBigUInt64LE())
    case 'int64':
      return exactNumber(bytes.readBigInt64LE())
    case 'float64':
      return bytes.readDoubleLE()
    case 'bool': {
      const byte = bytes.readUInt8()
      if (byte > 1) throw reader.error(`${what} is a bool of value ${byte}`)
      return byte === 1
    }
  }
}

async function readArray(
  reader: GgufHeaderReader,
  what: string,
  depth: number,
): Promise<GgufArray> {
  if (depth >= maxArrayDepth) throw reader.error(`${what} nests arrays too deeply`)
  await reader.need(12, what)
  const type = readValueType(reader, what)
  const length = reader.count(`entries in ${what}`, leastBytes[type])
  if (type === 'string') return readStrings(reader, length, what)
  if (type === 'array') {
    const nested: GgufArray[] = []
    for (let i = 0; i < length; i++) {
      nested.push(await readArray(reader, what, depth + 1))
      await reader.pause()
    }
    return nested
  }
  const bytes = length * leastBytes[type]
  await reader.need(bytes, what)
  // A copy, so that it is aligned and does not keep the header alive.
  const raw = new Uint8Array(reader.take(bytes)).buffer
  if (type !== 'bool') return typedArray(type, raw)
  const flags: boolean[] = []
  for (const byte of new Uint8Array(raw)) {
    if (byte > 1) throw reader.error(`${what} has a bool of value ${byte}`)
    flags.push(byte === 1)
  }
  return flags
}

async function readStrings(
  reader: GgufHeaderReader,
  length: number,
  what: string,
): Promise<GgufStrings> {
  const base = reader.position
  // Grown as entries are really found: the count is only a claim.
  let starts = new Uint32Array(Math.min(length + 1, 2 ** 16))
  for (let i = 0; i < length; i++) {
    if (!reader.has(8)) await reader.need(8, what)
    const bytes = reader.u32()
    if (reader.u32() !== 0) {
      throw reader.error(`entry ${i} of ${what} is longer than the file: truncated or corrupt`)
    }
    if (!reader.has(bytes)) await reader.need(bytes, what)
    if (i + 1 >= starts.length) {
      const grown = new Uint32Array(Math.min(length + 1, starts.length * 2))
      grown.set(starts)
      starts = grown
    }
    starts[i] = reader.position - base
    reader.position += bytes
    if ((i & 0xfff) === 0xfff) await reader.pause()
  }
  starts[length] = reader.position - base + 8
  return new GgufStrings(new Uint8Array(reader.since(base)), starts)
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
