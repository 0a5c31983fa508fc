import { gatedMlp, selfAttention } from './blocks.ts'
import { decoderConfig, kvSpec } from './decoderConfig.ts'
import { defineModel } from './defineModel.ts'
import { ropeTable } from './rope.ts'

/** Llama 2 and 3 dense decoder (model_type "llama"). Shapes: T tokens, L logit rows, D hidden, V vocabulary. */
export const llama = defineModel({
  modelTypes: ['llama'],
  architecture: 'LlamaForCausalLM',
  config: raw => decoderConfig(raw, { tied: false }),
  tied: { 'lm_head.weight': 'model.embed_tokens.weight' },
  build(g, c, w) {
    const eps = { eps: c.normEps }
    const bias = { qkvBias: c.attentionBias, outputBias: c.attentionBias }
    const shape = { ...c, ...bias, rope: ropeTable(c.rope, c.headDim, c.maxPositions) }
    let h = g.embed(w('model.embed_tokens'), c.vocabSize, c.hiddenSize) // [T, D]
    c.windows.forEach((window, layer) => {
      const l = w.scope(`model.layers.${layer}`)
      const x = g.rmsNorm(h, l('input_layernorm'), eps)
      const attention = { layer, kv: kvSpec(window), scale: c.headDim ** -0.5 }
      h = g.add(h, selfAttention(g, x, l.scope('self_attn'), shape, attention))
      const y = g.rmsNorm(h, l('post_attention_layernorm'), eps)
      const mlp = l.scope('mlp')
      h = g.add(h, gatedMlp(g, y, mlp, c.intermediateSize, c.act, { bias: c.mlpBias }))
    })
    const last = g.rmsNorm(g.selectRows(h), w('model.norm'), eps) // [L, D]
    return g.linear(last, w('lm_head'), c.vocabSize) // [L, V]
  },
})
