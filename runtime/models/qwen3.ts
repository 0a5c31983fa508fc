import type { GraphBuilder, Tensor } from '../graph/graphBuilder.ts'
import { gatedMlp, pooledNorm, selfAttention } from './blocks.ts'
import { type DecoderConfig, decoderConfig, kvSpec } from './decoderConfig.ts'
import { defineModel, type WeightScope } from './defineModel.ts'
import { qwenWindows } from './qwenWindows.ts'
import { ropeTable } from './rope.ts'

/**
 * Qwen 3 dense decoder (model_type "qwen3"): q and k are normalized by head. Qwen3-Embedding is the same model, read at the
 * last token.
 */
export const qwen3 = defineModel({
  modelTypes: ['qwen3'],
  architecture: 'Qwen3ForCausalLM',
  config(raw) {
    const fields = { head_dim: 128 }
    const c = decoderConfig(raw, { tied: false, maxPositions: 32768, fields })
    return { ...c, windows: qwenWindows(raw, c.numLayers) }
  },
  tied: { 'lm_head.weight': 'model.embed_tokens.weight' },
  build(g, c, w) {
    const last = g.rmsNorm(g.selectRows(layers(g, c, w)), w('model.norm'), { eps: c.normEps }) // [L, D]
    return g.linear(last, w('lm_head'), c.vocabSize) // [L, V]
  },
  embed: (g, c, w, pooling) =>
    pooledNorm(g, layers(g, c, w), w('model.norm'), { eps: c.normEps }, pooling),
})

/** [T, D] */
function layers(g: GraphBuilder, c: DecoderConfig, w: WeightScope): Tensor {
  const eps = { eps: c.normEps }
  const bias = { qkvBias: c.attentionBias, outputBias: c.attentionBias }
  const rope = ropeTable(c.rope, c.headDim, c.maxPositions)
  const shape = { ...c, ...bias, rope, qkNorm: eps }
  let h = g.embed(w('model.embed_tokens'), c.vocabSize, c.hiddenSize) // [T, D]
  c.windows.forEach((window, layer) => {
    const l = w.scope(`model.layers.${layer}`)
    const x = g.rmsNorm(h, l('input_layernorm'), eps)
    const attention = { layer, kv: kvSpec(window), scale: c.headDim ** -0.5 }
    h = g.add(h, selfAttention(g, x, l.scope('self_attn'), shape, attention))
    const y = g.rmsNorm(h, l('post_attention_layernorm'), eps)
    h = g.add(h, gatedMlp(g, y, l.scope('mlp'), c.intermediateSize, c.act))
  })
  return h
}
