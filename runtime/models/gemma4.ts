import { z } from 'zod'
import { count, flag, oneOf, positive, type RawConfig } from '../config/rawConfig.ts'
import type { GraphBuilder, Tensor } from '../graph/graphBuilder.ts'
import { full, sharedWith, sliding } from '../graph/kvGroups.ts'
import { gatedMlp } from './blocks.ts'
import { decoderConfig, layerWindows, maxLayers } from './decoderConfig.ts'
import { defineModel, type WeightScope } from './defineModel.ts'
import { ropeConfig, ropeTable } from './rope.ts'

const schema = z.object({
  global_head_dim: count(1024, 2).optional(),
  num_global_key_value_heads: count(1024).optional(),
  attention_k_eq_v: flag().default(false),
  num_kv_shared_layers: count(maxLayers, 0).default(0),
  hidden_size_per_layer_input: count(2 ** 14, 0).default(0),
  vocab_size_per_layer_input: count(2 ** 22).optional(),
  use_double_wide_mlp: flag().default(false),
  final_logit_softcapping: positive(1e6).optional(),
  enable_moe_block: flag().default(false),
  // Only media tokens ever see forwards, and there are none in text.
  use_bidirectional_attention: oneOf(['vision']).optional(),
})

const ropeParameters = {
  full_attention: { rope_type: 'proportional', rope_theta: 1e6, partial_rotary_factor: 0.25 },
  sliding_attention: { rope_type: 'default', rope_theta: 10000 },
}

function gemma4Config(given: RawConfig) {
  const raw = given.withDefaults({ rope_parameters: ropeParameters })
  const fields = { hidden_activation: 'gelu_pytorch_tanh' }
  const c = decoderConfig(raw, { tied: true, maxPositions: 131072, fields })
  const own = raw.parse(schema)
  if (own.enable_moe_block) throw raw.unsupported('Gemma 4 with experts is not supported yet')
  const globalHeadDim = own.global_head_dim ?? c.headDim
  if (globalHeadDim % 2 !== 0) throw raw.error('global_head_dim', globalHeadDim, 'an even number')
  const windows = layerWindows(raw, c.numLayers, layer => (layer + 1) % 6 !== 0, 512)
  const firstShared = c.numLayers - own.num_kv_shared_layers
  const layers = windows.map((window, i) => {
    const isFull = window === undefined
    const shared = i >= firstShared
    // The last layer of the same type that has keys of its own.
    const owner = windows.findLastIndex((w, j) => j < firstShared && (w === undefined) === isFull)
    if (shared && owner < 0) {
      throw raw.error(
        'num_kv_shared_layers',
        own.num_kv_shared_layers,
        'small enough to leave a layer of each type',
      )
    }
    return {
      kv: shared ? sharedWith(owner) : isFull ? full : sliding(window),
      isFull,
      headDim: isFull ? globalHeadDim : c.headDim,
      numKvHeads:
        isFull && own.attention_k_eq_v
          ? (own.num_global_key_value_heads ?? c.numKvHeads)
          : c.numKvHeads,
      /** Values are the raw key projection. */
      kEqV: isFull && own.attention_k_eq_v,
      intermediateSize: c.intermediateSize * (shared && own.use_double_wide_mlp ? 2 : 1),
    }
  })
  return {
    ...c,
    layers,
    globalHeadDim,
    globalRope: ropeConfig(raw, { theta: 1e6 }, 'full_attention'),
    localRope: ropeConfig(raw, { theta: 10000 }, 'sliding_attention'),
    perLayerWidth: own.hidden_size_per_layer_input,
    perLayerVocab: own.vocab_size_per_layer_input ?? c.vocabSize,
    finalSoftcap: own.final_logit_softcapping,
  }
}

type Config = ReturnType<typeof gemma4Config>

/**
 * Gemma 4 decoder without experts (model_type "gemma4_text", the text part of "gemma4"): per-layer embeddings, two head
 * sizes, layers that share the keys of earlier ones. Shapes: T tokens, D hidden, P per-layer width, N layers.
 */
export const gemma4 = defineModel({
  modelTypes: ['gemma4_text', 'gemma4'],
  architecture: 'Gemma4ForCausalLM',
  config: gemma4Config,
  tied: { 'lm_head.weight': 'model.embed_tokens.weight' },
  build(g, c, w) {
    const eps = { eps: c.normEps }
    const attend = attention(g, c)
    let h = g.embed(w('model.embed_tokens'), c.vocabSize, c.hiddenSize, c.hiddenSize ** 0.5) // [T, D]
    const perLayer = c.perLayerWidth > 0 ? perLayerInputs(g, c, w, h) : undefined // [T, N * P]
    c.layers.forEach((spec, i) => {
      const l = w.scope(`model.layers.${i}`)
      const a = attend(g.rmsNorm(h, l('input_layernorm'), eps), l.scope('self_attn'), i)
      h = g.add(h, g.rmsNorm(a, l('post_attention_layernorm'), eps))
      const y = g.rmsNorm(h, l('pre_feedforward_layernorm'), eps)
      const m = gatedMlp(g, y, l.scope('mlp'), spec.intermediateSize, c.act)
      h = g.add(h, g.rmsNorm(m, l('post_feedforward_layernorm'), eps))
      if (perLayer) {
        const own = g.slice(perLayer, i * c.perLayerWidth, (i + 1) * c.perLayerWidth) // [T, P]
        const gate = g.linear(h, l('per_layer_input_gate'), c.perLayerWidth)
        const p = g.linear(g.actMul(gate, own, c.act), l('per_layer_projection'), c.hiddenSize)
        h = g.add(h, g.rmsNorm(p, l('post_per_layer_input_norm'), eps))
      }
      h = g.scale(h, l('layer_scalar'))
    })
    const last = g.rmsNorm(g.selectRows(h), w('model.norm'), eps) // [L, D]
    const logits = g.linear(last, w('lm_head'), c.vocabSize) // [L, V]
    return c.finalSoftcap === undefined ? logits : g.softcap(logits, c.finalSoftcap)
  },
})

/** Inputs of all layers at once: a second embedding of the token, plus a projection of the first: [T, N * P]. */
function perLayerInputs(g: GraphBuilder, c: Config, w: WeightScope, h: Tensor): Tensor {
  const width = c.numLayers * c.perLayerWidth
  const table = w('model.embed_tokens_per_layer')
  const identity = g.embed(table, c.perLayerVocab, width, c.perLayerWidth ** 0.5)
  const projected = g.heads(g.linear(h, w('model.per_layer_model_projection'), width), c.numLayers)
  // norm(x * D^-0.5) with eps is norm(x) with eps * D.
  const eps = { eps: c.normEps * c.hiddenSize }
  const context = g.flatten(g.rmsNorm(projected, w('model.per_layer_projection_norm'), eps))
  return g.add(context, identity, 0.5 ** 0.5)
}

/** Attention of layer i, [T, D] to [T, D]; scores are not scaled, the norms of q and k see to that. */
function attention(g: GraphBuilder, c: Config) {
  const globalRope = ropeTable(c.globalRope, c.globalHeadDim, c.maxPositions)
  const localRope = ropeTable(c.localRope, c.headDim, c.maxPositions)
  const eps = { eps: c.normEps }
  return (x: Tensor, w: WeightScope, layer: number): Tensor => {
    const spec = c.layers[layer]
    if (!spec) throw new RangeError(`no layer ${layer}`)
    const { kv, headDim, numKvHeads } = spec
    const rope = spec.isFull ? globalRope : localRope
    const options = { layer, kv, scale: 1 }
    const project = (name: string, heads: number) =>
      g.heads(g.linear(x, w(name), heads * headDim), heads)
    const q = g.rope(g.rmsNorm(project('q_proj', c.numHeads), w('q_norm'), eps), rope)
    let a: Tensor
    if (kv.kind === 'shared') {
      a = g.sharedAttention(q, options)
    } else {
      const rawK = project('k_proj', numKvHeads)
      const rawV = spec.kEqV ? rawK : project('v_proj', numKvHeads)
      const k = g.rope(g.rmsNorm(rawK, w('k_norm'), eps), rope)
      a = g.attention(q, k, g.rmsNorm(rawV, null, eps), options)
    }
    return g.linear(g.flatten(a), w('o_proj'), c.hiddenSize)
  }
}
