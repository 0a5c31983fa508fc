import type { TensorType, WeightPart, WeightTransform } from '../native.ts'
import { FileFormatError } from './fileFormatError.ts'
import type { GgufFile } from './gguf.ts'
import { ggufNaming } from './ggufNaming.ts'
import type { GgufTensor } from './ggufTensors.ts'
import type { SafetensorsTensor } from './safetensors.ts'

/** A weight as a matrix: rows of the last dimension; vectors have one row. */
export interface SourceWeight {
  rows: number
  cols: number
  type: TensorType
  parts: WeightPart[]
}

/** Weights by their canonical Hugging Face names, whatever the file format and its conventions. */
export interface WeightSource {
  /** File or folder, for messages. */
  readonly path: string
  has(name: string): boolean
  /**
   * @throws FileFormatError when there is no such weight or its type cannot be loaded
   */
  get(name: string): SourceWeight
  /** Stored types and the bytes of each. */
  types(): Map<string, number>
}

/** Where a checkpoint keeps the text model: plain, inside a multimodal one (two generations), or without a head. */
const prefixes = ['model.', 'model.language_model.', 'language_model.model.', '']
const loadableFloats: ReadonlySet<string> = new Set<TensorType>(['F32', 'F16', 'BF16'])

/** @param path shown in messages: the file, or the folder of a sharded model */
export function safetensorsSource(
  path: string,
  tensors: readonly SafetensorsTensor[],
): WeightSource {
  const byName = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const prefix = prefixes.find(p => byName.has(`${p}embed_tokens.weight`)) ?? 'model.'
  const find = (name: string) => {
    if (name.startsWith('model.')) return byName.get(prefix + name.slice('model.'.length))
    return byName.get(name) ?? byName.get(`language_model.${name}`)
  }
  return {
    path,
    has: name => find(name) !== undefined,
    get(name) {
      const tensor = find(name)
      if (!tensor) throw missing(path, name)
      if (!loadableFloats.has(tensor.dtype)) {
        const reason = `tensor "${tensor.name}" has dtype ${tensor.dtype}, only F32, F16 and BF16 can be loaded`
        throw new FileFormatError(tensor.path, reason)
      }
      const type = tensor.dtype as TensorType
      const cols = tensor.shape.at(-1) ?? 1
      const rows = tensor.shape.slice(0, -1).reduce((product, dim) => product * dim, 1)
      const { offset, bytes } = tensor
      return { rows, cols, type, parts: [{ path: tensor.path, offset, bytes, type, rows, cols }] }
    },
    types: () => bytesByType(tensors.map(tensor => [tensor.dtype, tensor.bytes])),
  }
}

/**
 * @param architecture `general.architecture` of the file
 * @param heads head counts, for the row order of Q and K
 */
export function ggufSource(
  files: readonly GgufFile[],
  architecture: string,
  heads: { q: number; kv: number },
): WeightSource {
  const byName = new Map<string, { tensor: GgufTensor; path: string }>()
  for (const file of files) {
    for (const tensor of file.tensors) {
      if (byName.has(tensor.name)) {
        throw new FileFormatError(file.path, `tensor "${tensor.name}" is in two files`)
      }
      byName.set(tensor.name, { tensor, path: file.path })
    }
  }
  const path = files[0]?.path ?? ''
  const naming = ggufNaming(architecture)
  const find = (name: string) => {
    const stored = naming.stored(name)
    return stored === undefined ? undefined : byName.get(stored)
  }
  return {
    path,
    has: name => find(name) !== undefined,
    get(name) {
      const found = find(name)
      if (!found) throw missing(path, name, naming.stored(name))
      const { type, offset, bytes, rows, cols } = found.tensor
      const transforms: WeightTransform[] = naming.transforms(name, heads)
      const part: WeightPart = { path: found.path, offset, bytes, type, rows, cols }
      if (transforms.length > 0) part.transforms = transforms
      return { rows, cols, type, parts: [part] }
    },
    types: () => bytesByType([...byName.values()].map(({ tensor }) => [tensor.type, tensor.bytes])),
  }
}

function missing(path: string, name: string, stored?: string): FileFormatError {
  const also = stored === undefined ? '' : ` (stored as "${stored}")`
  return new FileFormatError(path, `tensor "${name}"${also} is missing`)
}

function bytesByType(entries: readonly (readonly [string, number])[]): Map<string, number> {
  const totals = new Map<string, number>()
  for (const [type, bytes] of entries) totals.set(type, (totals.get(type) ?? 0) + bytes)
  return totals
}
