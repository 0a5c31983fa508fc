import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { isObject } from '../jsonObject.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { type GgufFile, readGguf } from '../weights/gguf.ts'
import { readModelJson } from '../weights/modelFile.ts'
import {
  readSafetensors,
  readShardedSafetensors,
  type SafetensorsTensor,
} from '../weights/safetensors.ts'
import { ggufSource, safetensorsSource, type WeightSource } from '../weights/weightSource.ts'
import {
  eosTokenIds,
  type GenerationDefaults,
  ggufGenerationDefaults,
  readGenerationConfig,
} from './generationDefaults.ts'
import { ggufConfig } from './ggufConfig.ts'
import { quantizationName } from './quantizationName.ts'
import { RawConfig } from './rawConfig.ts'
import { type DenseLayer, type EmbeddingHead, readEmbeddingHead } from './sentenceTransformers.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

const singleFile = 'model.safetensors'
const shardIndex = 'model.safetensors.index.json'
const weightFiles = [singleFile, shardIndex]

/** Where the tokenizer and chat template come from. */
export type TokenizerSource =
  | { kind: 'huggingface'; folder: string }
  | { kind: 'gguf'; file: GgufFile }

/** A model on disk, its headers read and nothing else. */
export interface OpenedModel {
  path: string
  config: RawConfig
  /** First of `architectures` in config.json, if it has any. */
  architecture?: string
  generation: GenerationDefaults
  weights: WeightSource
  /** Type of most of the weights, for display: `bf16`, `q4_1`. */
  quantization: string
  tokenizerSource: TokenizerSource
  /** Present where the folder says that the model embeds. */
  embedding?: EmbeddingHead
}

/**
 * Opens a folder in Hugging Face layout, a GGUF file (the first part of a split one), or a folder with one GGUF model.
 * @throws FileFormatError or UnsupportedModelError; file system errors as they come
 */
export async function openModel(modelPath: string): Promise<OpenedModel> {
  const isFolder = (await stat(modelPath)).isDirectory()
  if (!isFolder) {
    if (modelPath.endsWith('.gguf')) return openGguf(modelPath)
    throw new FileFormatError(modelPath, 'neither a folder nor a .gguf file')
  }
  const names = await readdir(modelPath)
  const ggufs = names.filter(isGgufModel)
  const [only] = ggufs
  const hasSafetensors = weightFiles.some(name => names.includes(name))
  // A repository of GGUF files may carry the config.json of the model they were made from.
  if (names.includes('config.json') && (hasSafetensors || ggufs.length === 0)) {
    return openFolder(modelPath, names)
  }
  if (only === undefined || ggufs.length > 1) {
    const found = only === undefined ? 'neither config.json nor a .gguf file' : ggufs.join(', ')
    throw new FileFormatError(modelPath, `not one model: the folder has ${found}`)
  }
  return openGguf(path.join(modelPath, only))
}

async function openFolder(folder: string, names: readonly string[]): Promise<OpenedModel> {
  const configPath = path.join(folder, 'config.json')
  const top = await readJsonObject(configPath)
  const nested = top.text_config
  const fields = isObject(nested) ? { ...nested } : top
  fields.tie_word_embeddings ??= top.tie_word_embeddings
  const modelType = fields.model_type ?? top.model_type
  if (typeof modelType !== 'string') throw new FileFormatError(configPath, 'no "model_type"')
  const method = isObject(top.quantization_config)
    ? top.quantization_config.quant_method
    : undefined
  if (method !== undefined) {
    const reason = `weights quantized with "${method}" are not supported; use the unquantized model or a GGUF file`
    throw new UnsupportedModelError(configPath, modelType, reason)
  }
  const embedding = names.includes('modules.json')
    ? await readEmbeddingHead(folder, modelType)
    : undefined
  const weights = await openSafetensors(folder, names, embedding)
  const generation = await readGenerationConfig(path.join(folder, 'generation_config.json'))
  const ends = [
    generation?.eosTokenIds ?? [],
    eosTokenIds(top.eos_token_id),
    eosTokenIds(fields.eos_token_id),
  ]
  const architecture = Array.isArray(top.architectures) ? top.architectures[0] : undefined
  return {
    path: folder,
    config: new RawConfig(configPath, modelType, fields),
    ...(typeof architecture === 'string' ? { architecture } : {}),
    // generation_config.json, where it names end tokens, replaces those of config.json.
    generation: { ...generation, eosTokenIds: ends.find(ids => ids.length > 0) ?? [] },
    weights,
    quantization: quantizationName(weights.types()),
    tokenizerSource: { kind: 'huggingface', folder },
    ...(embedding && { embedding }),
  }
}

async function openSafetensors(
  folder: string,
  names: readonly string[],
  embedding: EmbeddingHead | undefined,
): Promise<WeightSource> {
  const dense = await denseWeights(folder, embedding?.dense ?? [])
  if (names.includes(shardIndex)) {
    const index = path.join(folder, shardIndex)
    return safetensorsSource(folder, [...(await readShardedSafetensors(index)), ...dense])
  }
  if (names.includes(singleFile)) {
    const file = path.join(folder, singleFile)
    return safetensorsSource(file, [...(await readSafetensors(file)), ...dense])
  }
  throw new FileFormatError(folder, `no ${weightFiles.join(' or ')}`)
}

/** The layers after the pooling have files of their own. */
async function denseWeights(
  folder: string,
  layers: readonly DenseLayer[],
): Promise<SafetensorsTensor[]> {
  const files = layers.map(async layer => {
    const tensors = await readSafetensors(path.join(folder, layer.folder, singleFile))
    return tensors.map(tensor => ({ ...tensor, name: `${layer.folder}.${tensor.name}` }))
  })
  return (await Promise.all(files)).flat()
}

async function openGguf(file: string): Promise<OpenedModel> {
  const main = await readGguf(file)
  const files = [main, ...(await readOtherParts(file))]
  const config = await ggufConfig(files)
  const architecture = String(main.metadata.get('general.architecture'))
  const weights = ggufSource(files, architecture, {
    q: Number(config.fields.num_attention_heads),
    kv: Number(config.fields.num_key_value_heads),
  })
  const beside = await readGenerationConfig(path.join(path.dirname(file), 'generation_config.json'))
  const own = ggufGenerationDefaults(main)
  const ends = new Set([...(beside?.eosTokenIds ?? []), ...own.eosTokenIds])
  return {
    path: file,
    config,
    generation: { ...own, ...beside, eosTokenIds: [...ends].sort((a, b) => a - b) },
    weights,
    quantization: quantizationName(weights.types(), main.metadata.get('general.file_type')),
    tokenizerSource: { kind: 'gguf', file: main },
  }
}

async function readOtherParts(file: string): Promise<GgufFile[]> {
  const split = splitOf(path.basename(file))
  if (!split || split.of === 1) return []
  if (split.part !== 1)
    throw new FileFormatError(file, `part ${split.part} of a model; name part 1`)
  const parts: GgufFile[] = []
  for (let part = 2; part <= split.of; part++) {
    const name = `${split.stem}-${String(part).padStart(5, '0')}-of-${split.count}.gguf`
    parts.push(await readGguf(path.join(path.dirname(file), name)))
  }
  return parts
}

/** Not a later part of a split model, nor the image encoder that may lie beside one. */
function isGgufModel(name: string): boolean {
  const isLaterPart = (splitOf(name)?.part ?? 1) > 1
  return name.endsWith('.gguf') && !name.startsWith('mmproj') && !isLaterPart
}

/** `NAME-00001-of-00003.gguf`, as llama.cpp's gguf-split names parts. */
function splitOf(name: string) {
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(name)
  if (!match) return undefined
  const [, stem = '', part = '', count = ''] = match
  return { stem, part: Number(part), count, of: Number(count) }
}

async function readJsonObject(file: string): Promise<Record<string, unknown>> {
  const value = await readModelJson(file)
  if (!isObject(value)) throw new FileFormatError(file, 'not a JSON object')
  return value
}
