import { GgufHeaderReader } from './ggufHeaderReader.ts'
import { type GgufTensor, readGgufTensors } from './ggufTensors.ts'
import { type GgufValue, readGgufValue } from './ggufValues.ts'
import { openModelFile } from './modelFile.ts'

export interface GgufFile {
  path: string
  version: number
  metadata: Map<string, GgufValue>
  tensors: GgufTensor[]
  alignment: number
}

const magic = 0x46554747

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
    return await parse(new GgufHeaderReader(path, file, size))
  } finally {
    await file.close()
  }
}

async function parse(reader: GgufHeaderReader): Promise<GgufFile> {
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
    metadata.set(key, await readGgufValue(reader, what))
    await reader.pause()
  }

  const alignment = readAlignment(reader, metadata)
  const tensors = await readGgufTensors(reader, numTensors, alignment)
  return { path: reader.path, version, metadata, tensors, alignment }
}

function readAlignment(reader: GgufHeaderReader, metadata: Map<string, GgufValue>): number {
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
