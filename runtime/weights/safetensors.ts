import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { isObject } from '../jsonObject.ts'
import { FileFormatError } from './fileFormatError.ts'
import { openModelFile, readModelFile } from './modelFile.ts'

export interface SafetensorsTensor {
  name: string
  /** File that holds it. */
  path: string
  /** As stored: `F32`, `BF16`, `I64`, … */
  dtype: string
  shape: number[]
  /** Absolute position in the file, and length. */
  offset: number
  bytes: number
}

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000
const maxIndexBytes = 2 ** 28
const maxDims = 16

const dtypeBits: Record<string, number> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
}

/**
 * Reads the table of tensors of one safetensors file and checks it against the file's size: shapes agree with byte ranges,
 * ranges lie in the file and do not overlap.
 * @throws FileFormatError for anything else; file system errors as they come
 * Source: the safetensors format description (`safetensors/README.md`).
 */
export async function readSafetensors(file: string): Promise<SafetensorsTensor[]> {
  const { header, dataStart, size } = await readHeader(file)
  const tensors = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => readEntry(file, name, entry, dataStart, size))
  const byOffset = tensors.toSorted((a, b) => a.offset - b.offset)
  let previous: SafetensorsTensor | undefined
  for (const tensor of byOffset) {
    if (previous && previous.offset + previous.bytes > tensor.offset) {
      throw new FileFormatError(file, `tensors "${previous.name}" and "${tensor.name}" overlap`)
    }
    if (tensor.bytes > 0) previous = tensor
  }
  return tensors
}

/**
 * Reads the tensors of all files that a `model.safetensors.index.json` names.
 * @throws FileFormatError also when a shard lacks a tensor that the index places there, or two shards hold the same one
 */
export async function readShardedSafetensors(indexPath: string): Promise<SafetensorsTensor[]> {
  const index = parseJson(indexPath, await readModelFile(indexPath, maxIndexBytes))
  const { weight_map: map } = isObject(index) ? index : {}
  if (!isObject(map)) throw new FileFormatError(indexPath, 'no "weight_map" object')
  const byFile = new Map<string, string[]>()
  for (const [name, file] of Object.entries(map)) {
    if (
      typeof file !== 'string' ||
      path.basename(file) !== file ||
      !file.endsWith('.safetensors')
    ) {
      const shown = JSON.stringify(file)
      throw new FileFormatError(indexPath, `weight_map places "${name}" in ${shown}, not a shard`)
    }
    const names = byFile.get(file)
    if (names) names.push(name)
    else byFile.set(file, [name])
  }
  const tensors = new Map<string, SafetensorsTensor>()
  for (const [file, names] of byFile) {
    const shard = path.join(path.dirname(indexPath), file)
    const found = new Map((await readSafetensors(shard)).map(tensor => [tensor.name, tensor]))
    for (const name of names) {
      const tensor = found.get(name)
      if (!tensor) {
        const reason = `tensor "${name}" is missing, which ${path.basename(indexPath)} places here`
        throw new FileFormatError(shard, reason)
      }
      tensors.set(name, tensor)
    }
  }
  return [...tensors.values()]
}

async function readHeader(file: string) {
  const { file: handle, size } = await openModelFile(file)
  try {
    if (size < 8) throw new FileFormatError(file, `${size} bytes are no safetensors file`)
    const length = (await readAt(handle, file, 0, 8)).readBigUInt64LE(0)
    if (length > maxHeaderBytes) {
      const reason = `claims a header of ${length} bytes, at most ${maxHeaderBytes}: corrupt or not a safetensors file`
      throw new FileFormatError(file, reason)
    }
    const dataStart = 8 + Number(length)
    if (dataStart > size) {
      const reason = `the header ends at byte ${dataStart} but the file has ${size}: truncated`
      throw new FileFormatError(file, reason)
    }
    const bytes = await readAt(handle, file, 8, Number(length))
    const header = parseJson(file, bytes)
    if (!isObject(header)) throw new FileFormatError(file, 'the header is not a JSON object')
    const duplicate = duplicateKey(bytes.toString('utf8'))
    if (duplicate !== undefined) throw new FileFormatError(file, `duplicate tensor ${duplicate}`)
    return { header, dataStart, size }
  } finally {
    await handle.close()
  }
}

function readEntry(
  file: string,
  name: string,
  entry: unknown,
  dataStart: number,
  size: number,
): SafetensorsTensor {
  const fail = (reason: string) => new FileFormatError(file, `tensor "${name}" ${reason}`)
  if (!isObject(entry)) throw fail('is not an object')
  const { dtype, shape, data_offsets: offsets } = entry
  const isKnown = typeof dtype === 'string' && Object.hasOwn(dtypeBits, dtype)
  const bits = isKnown ? dtypeBits[dtype] : undefined
  if (typeof dtype !== 'string' || bits === undefined) {
    throw fail(`has unknown dtype ${JSON.stringify(dtype)}`)
  }
  if (!isCounts(shape) || shape.length > maxDims) {
    throw fail(`has an impossible shape ${JSON.stringify(shape)?.slice(0, 100)}`)
  }
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw fail(`has wrong data_offsets ${JSON.stringify(offsets)?.slice(0, 100)}`)
  }
  const [begin = 0, end = 0] = offsets
  const needed = (shape.reduce((product, dim) => product * dim, 1) * bits) / 8
  if (end - begin !== needed) {
    throw fail(`has ${end - begin} bytes, ${dtype} [${shape.join(', ')}] needs ${needed}`)
  }
  if (dataStart + end > size) {
    throw fail(`ends at byte ${dataStart + end} but the file has ${size}: truncated or corrupt`)
  }
  return { name, path: file, dtype, shape, offset: dataStart + begin, bytes: needed }
}

/** The first key, with its quotes, that a valid JSON object's top level has twice: JSON.parse keeps the last silently. */
function duplicateKey(json: string): string | undefined {
  const keys = new Set<string>()
  let depth = 0
  for (const match of json.matchAll(/[{}[\]]|"(?:[^"\\]|\\.)*"(\s*:)?/g)) {
    const [token, colon] = match
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (depth === 1 && colon !== undefined) {
      const key = token.slice(0, -colon.length)
      if (keys.has(key)) return key
      keys.add(key)
    }
  }
  return undefined
}

function isCounts(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.every(n => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0)
  )
}

async function readAt(handle: FileHandle, file: string, position: number, length: number) {
  const buffer = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) {
      throw new FileFormatError(file, 'the file became shorter while it was read')
    }
    filled += bytesRead
  }
  return buffer
}

function parseJson(file: string, bytes: Buffer): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return JSON.parse(text)
  } catch (cause) {
    throw new FileFormatError(file, 'the header is not JSON', { cause })
  }
}
