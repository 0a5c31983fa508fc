import { z } from 'zod'
import { count, flag, oneOf, positive, type RawConfig } from '../config/rawConfig.ts'
import type { Activation } from '../graph/ir.ts'
import { full, type KvSpec, sliding } from '../graph/kvGroups.ts'
import type { BaseConfig } from './defineModel.ts'
import { type RopeConfig, ropeConfig } from './rope.ts'

/** Configuration shared by the dense decoder families. */
export interface DecoderConfig extends BaseConfig {
  hiddenSize: number
  intermediateSize: number
  numLayers: number
  numHeads: number
  numKvHeads: number
  headDim: number
  normEps: number
  act: Activation
  rope: RopeConfig
  /** Window of each layer's attention, undefined where it sees everything. */
  windows: (number | undefined)[]
  attentionBias: boolean
  mlpBias: boolean
}

/** Values of a family's configuration class where config.json leaves a field out. */
export interface DecoderDefaults {
  tied: boolean
  ropeTheta?: number
  maxPositions?: number
  /** Fields by their name in config.json. */
  fields?: Record<string, unknown>
}

export const maxLayers = 1024
const activations = ['silu', 'swish', 'gelu_pytorch_tanh', 'gelu_new'] as const
const layerTypes = ['full_attention', 'sliding_attention'] as const

const schema = z.object({
  vocab_size: count(2 ** 22),
  hidden_size: count(2 ** 16),
  intermediate_size: count(2 ** 20),
  num_hidden_layers: count(maxLayers),
  num_attention_heads: count(1024),
  num_key_value_heads: count(1024).optional(),
  head_dim: count(1024, 2).optional(),
  max_position_embeddings: count(2 ** 27),
  rms_norm_eps: positive(0.1).default(1e-6),
  hidden_act: oneOf(activations).optional(),
  hidden_activation: oneOf(activations).optional(),
  tie_word_embeddings: flag().optional(),
  attention_bias: flag().default(false),
  mlp_bias: flag().default(false),
  sliding_window: count(2 ** 27).optional(),
  layer_types: z.array(oneOf(layerTypes)).max(maxLayers).optional(),
})

/**
 * Reads the fields every dense decoder has. Windows are left out: families differ in which layers have one.
 * @throws FileFormatError naming field, value and allowed range
 */
export function decoderConfig(raw: RawConfig, defaults: DecoderDefaults): DecoderConfig {
  const merged = raw.withDefaults({
    max_position_embeddings: defaults.maxPositions ?? 2048,
    ...defaults.fields,
  })
  const c = merged.parse(schema)
  const numKvHeads = c.num_key_value_heads ?? c.num_attention_heads
  if (c.num_attention_heads % numKvHeads !== 0) {
    const must = `a divisor of num_attention_heads (${c.num_attention_heads})`
    throw raw.error('num_key_value_heads', numKvHeads, must)
  }
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads
  if (headDim % 2 !== 0) throw raw.error('head_dim', headDim, 'an even number')
  const act = c.hidden_activation ?? c.hidden_act ?? 'silu'
  const rope = ropeConfig(raw, { theta: defaults.ropeTheta ?? 10000 })
  return {
    vocabSize: c.vocab_size,
    tied: c.tie_word_embeddings ?? defaults.tied,
    maxPositions: reach(c.max_position_embeddings, rope),
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    numLayers: c.num_hidden_layers,
    numHeads: c.num_attention_heads,
    numKvHeads,
    headDim,
    normEps: c.rms_norm_eps,
    act: act === 'silu' || act === 'swish' ? 'silu' : 'gelu_tanh',
    rope,
    windows: new Array<undefined>(c.num_hidden_layers).fill(undefined),
    attentionBias: c.attention_bias,
    mlpBias: c.mlp_bias,
  }
}

/**
 * Windows from `layer_types`, or where it is missing from a rule for which layers slide.
 * @throws FileFormatError when a layer slides but there is no window, or the list has another length than the model
 */
export function layerWindows(
  raw: RawConfig,
  numLayers: number,
  slides: (layer: number) => boolean,
  defaultWindow?: number,
): (number | undefined)[] {
  const { layer_types, sliding_window = defaultWindow } = raw.parse(
    schema.pick({ layer_types: true, sliding_window: true }),
  )
  if (layer_types && layer_types.length !== numLayers) {
    throw raw.error('layer_types', layer_types, `a list of ${numLayers}, one for each layer`)
  }
  return Array.from({ length: numLayers }, (_, i) => {
    const isSliding = layer_types ? layer_types[i] === 'sliding_attention' : slides(i)
    if (!isSliding) return undefined
    if (sliding_window === undefined) {
      throw raw.error('sliding_window', undefined, `set: layer ${i} slides`)
    }
    return sliding_window
  })
}

/** How a layer caches, from its window. */
export function kvSpec(window: number | undefined): KvSpec {
  return window === undefined ? full : sliding(window)
}

/** YaRN is configured to reach beyond max_position_embeddings, which may still be the original length. */
function reach(maxPositions: number, rope: RopeConfig): number {
  if (rope.rope_type !== 'yarn' || !rope.original_max_position_embeddings) return maxPositions
  return Math.max(maxPositions, Math.floor(rope.original_max_position_embeddings * rope.factor))
}
