import type { GenerationDefaults } from '../config/generationDefaults.ts'
import { openModel, type TokenizerSource } from '../config/openModel.ts'
import { type KvGroup, type KvType, pageBytes } from '../graph/kvGroups.ts'
import type { Rewrite } from '../graph/rewrites.ts'
import type { WeightSpec } from '../native.ts'
import { bindWeights, type Isq } from '../weights/bindWeights.ts'
import { compileModel } from './compileModel.ts'
import type { Pooling } from './defineModel.ts'
import { modelDefinition } from './registry.ts'

export interface PrepareOptions {
  /** In-situ quantization of linear weights stored as floats. */
  isq?: Isq
  /** Fusions to apply, all by default; false keeps one op per line of the model definition. */
  fuse?: boolean | readonly Rewrite[]
}

/** Everything the engine needs to load a model natively and serve it. */
export interface PreparedModel {
  config: ModelSummary
  generation: GenerationDefaults
  /** The plan in the language of docs/plan.md. */
  plan: string
  kvGroups: KvGroup[]
  weights: WeightSpec[]
  /** Bytes of a page of the KV pool. */
  pageBytes(type: KvType): number
  /** Things to tell the user, one line each. */
  messages: string[]
  tokenizerSource: TokenizerSource
  /** Of an embedding model. */
  pooling?: Pooling
  /** A prompt cannot be cut into steps: some layer sees both ways, or all rows are needed at once. */
  wholePrompts: boolean
}

export interface ModelSummary {
  vocabSize: number
  hiddenSize: number
  numLayers: number
  /** Positions the model was made for. */
  maxModelLen: number
  /** `model_type` of the text model. */
  modelType: string
  /** Class name, `Qwen3ForCausalLM`. */
  architecture: string
  /** Numbers in an embedding; null for a model that generates. */
  embeddingSize: number | null
  /** `bf16`, `q4_k_m`; after in-situ quantization its name. */
  quantization: string
}

/**
 * Reads a model's headers and configuration, compiles its plan and finds its weights; loads no weight.
 * @param path folder in Hugging Face layout, folder with one GGUF model, or GGUF file
 * @throws FileFormatError or UnsupportedModelError; file system errors as they come
 */
export async function prepareModel(
  path: string,
  options: PrepareOptions = {},
): Promise<PreparedModel> {
  const { isq, fuse = true } = options
  const model = await openModel(path)
  const definition = modelDefinition(model.config)
  const config = definition.config(model.config)
  const { embedding } = model
  if (embedding && !definition.embed) {
    throw model.config.unsupported('an embedding model of this architecture is not supported')
  }
  if (!embedding && config.causal === false) {
    const reason =
      'a model whose tokens see later ones needs a modules.json that says how it embeds'
    throw model.config.unsupported(reason)
  }
  const compiled = compileModel(definition, config, { fuse, ...(embedding && { embedding }) })
  const { weights, messages } = bindWeights(compiled.weightNames, model.weights, isq)
  return {
    config: {
      vocabSize: config.vocabSize,
      hiddenSize: config.hiddenSize,
      numLayers: config.numLayers,
      maxModelLen: config.maxPositions,
      modelType: model.config.modelType,
      architecture: model.architecture ?? definition.architecture,
      embeddingSize: embedding ? (embedding.dense.at(-1)?.outSize ?? config.hiddenSize) : null,
      quantization: isq && weights.some(weight => weight.quantize) ? isq : model.quantization,
    },
    generation: model.generation,
    plan: compiled.text,
    kvGroups: compiled.kvGroups,
    weights,
    pageBytes: type => pageBytes(compiled.kvGroups, type),
    messages,
    tokenizerSource: model.tokenizerSource,
    ...(embedding && { pooling: embedding.pooling }),
    wholePrompts: compiled.wholePrompts,
  }
}
