import { z } from 'zod'
import { count, flag, positive, type RawConfig } from '../config/rawConfig.ts'
import type { GraphBuilder, Tensor } from '../graph/graphBuilder.ts'
import { gatedMlp, pooledNorm, selfAttention } from './blocks.ts'
import { decoderConfig, kvSpec, layerWindows, maxLayers } from './decoderConfig.ts'
import { defineModel, type WeightScope } from './defineModel.ts'
import { ropeConfig, ropeTable } from './rope.ts'

const schema = z.object({
  query_pre_attn_scalar: positive(2 ** 20).default(256),
  final_logit_softcapping: positive(1e6).optional(),
  rope_local_base_freq: positive(1e12).default(10000),
  sliding_window_pattern: count(maxLayers).default(6),
  use_bidirectional_attention: flag().default(false),
})

/** Fields that published multimodal checkpoints leave to transformers' Gemma3TextConfig. */
const fields = {
  vocab_size: 262208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  hidden_activation: 'gelu_pytorch_tanh',
}

function gemma3Config(raw: RawConfig) {
  const c = decoderConfig(raw, { tied: true, ropeTheta: 1e6, maxPositions: 131072, fields })
  const own = raw.parse(schema)
  const causal = !own.use_bidirectional_attention
  const pattern = own.sliding_window_pattern
  // The older form of the config has one scaling, for full layers only.
  const local = raw.fields.rope_parameters
    ? ropeConfig(raw, { theta: 10000 }, 'sliding_attention')
    : { rope_type: 'default' as const, theta: own.rope_local_base_freq }
  const windows = layerWindows(raw, c.numLayers, layer => (layer + 1) % pattern !== 0, 4096)
  return {
    ...c,
    causal,
    // Seeing both ways, a window is as wide in all: half of it, and the query itself, to each side.
    windows: causal ? windows : windows.map(window => window && Math.floor(window / 2) + 1),
    localRope: local,
    scale: own.query_pre_attn_scalar ** -0.5,
    finalSoftcap: own.final_logit_softcapping,
  }
}

/**
 * Gemma 3 decoder (model_type "gemma3_text", the text part of "gemma3"): four norms a layer with weights stored as
 * distance from one, sliding and full layers with a rope each. As in transformers, `attn_logit_softcapping`, a field left
 * over from Gemma 2, does nothing. EmbeddingGemma is the same model seeing both ways, read at the mean of its tokens.
 */
export const gemma3 = defineModel({
  modelTypes: ['gemma3_text', 'gemma3'],
  architecture: 'Gemma3ForCausalLM',
  config: gemma3Config,
  tied: { 'lm_head.weight': 'model.embed_tokens.weight' },
  build(g, c, w) {
    const last = g.rmsNorm(g.selectRows(layers(g, c, w)), w('model.norm'), norm(c)) // [L, D]
    const logits = g.linear(last, w('lm_head'), c.vocabSize) // [L, V]
    return c.finalSoftcap === undefined ? logits : g.softcap(logits, c.finalSoftcap)
  },
  embed: (g, c, w, pooling) => pooledNorm(g, layers(g, c, w), w('model.norm'), norm(c), pooling),
})

type Gemma3Config = ReturnType<typeof gemma3Config>

const norm = (c: Gemma3Config) => ({ eps: c.normEps, offset: 1 as const })

/** [T, D] */
function layers(g: GraphBuilder, c: Gemma3Config, w: WeightScope): Tensor {
  const eps = norm(c)
  const bias = { qkvBias: c.attentionBias, outputBias: c.attentionBias }
  const globalRope = ropeTable(c.rope, c.headDim, c.maxPositions)
  const localRope = ropeTable(c.localRope, c.headDim, c.maxPositions)
  let h = g.embed(w('model.embed_tokens'), c.vocabSize, c.hiddenSize, c.hiddenSize ** 0.5) // [T, D]
  c.windows.forEach((window, layer) => {
    const l = w.scope(`model.layers.${layer}`)
    const rope = window === undefined ? globalRope : localRope
    const shape = { ...c, ...bias, rope, qkNorm: eps }
    const attention = { layer, kv: kvSpec(window), scale: c.scale, causal: c.causal }
    const x = g.rmsNorm(h, l('input_layernorm'), eps)
    const a = selfAttention(g, x, l.scope('self_attn'), shape, attention)
    h = g.add(h, g.rmsNorm(a, l('post_attention_layernorm'), eps))
    const y = g.rmsNorm(h, l('pre_feedforward_layernorm'), eps)
    const m = gatedMlp(g, y, l.scope('mlp'), c.intermediateSize, c.act)
    h = g.add(h, g.rmsNorm(m, l('post_feedforward_layernorm'), eps))
  })
  return h
}
