import {
  describeUnsupportedGgmlType,
  type GgmlTypeName,
  ggmlTypeName,
  ggmlTypes,
} from './ggmlTypes.ts'
import type { GgufHeaderReader } from './ggufHeaderReader.ts'

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

const maxDims = 4

/**
 * Reads the table of tensors, the last part of the header.
 * @throws FileFormatError for unsupported types, impossible shapes, and tensors that overlap or lie outside of the file
 */
export async function readGgufTensors(
  reader: GgufHeaderReader,
  numTensors: number,
  alignment: number,
): Promise<GgufTensor[]> {
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
  return tensors
}

/** One entry of the tensor table; `offset` is still relative to the start of the data. */
async function readTensorInfo(reader: GgufHeaderReader, index: number): Promise<GgufTensor> {
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
function placeTensors(reader: GgufHeaderReader, tensors: GgufTensor[], alignment: number): void {
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
