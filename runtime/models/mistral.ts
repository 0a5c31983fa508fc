import { gatedMlp, selfAttention } from './blocks.ts'
import { decoderConfig, kvSpec, layerWindows } from './decoderConfig.ts'
import { defineModel } from './defineModel.ts'
import { ropeTable } from './rope.ts'

/** Mistral dense decoder (model_type "mistral"): every layer slides if the config has a window. */
export const mistral = defineModel({
  modelTypes: ['mistral'],
  architecture: 'MistralForCausalLM',
  config(raw) {
    const c = decoderConfig(raw, { tied: false, maxPositions: 131072 })
    const hasWindow = raw.fields.sliding_window !== undefined
    return { ...c, windows: layerWindows(raw, c.numLayers, () => hasWindow) }
  },
  tied: { 'lm_head.weight': 'model.embed_tokens.weight' },
  build(g, c, w) {
    const eps = { eps: c.normEps }
    const shape = { ...c, rope: ropeTable(c.rope, c.headDim, c.maxPositions) }
    let h = g.embed(w('model.embed_tokens'), c.vocabSize, c.hiddenSize) // [T, D]
    c.windows.forEach((window, layer) => {
      const l = w.scope(`model.layers.${layer}`)
      const x = g.rmsNorm(h, l('input_layernorm'), eps)
      const attention = { layer, kv: kvSpec(window), scale: c.headDim ** -0.5 }
      h = g.add(h, selfAttention(g, x, l.scope('self_attn'), shape, attention))
      const y = g.rmsNorm(h, l('post_attention_layernorm'), eps)
      h = g.add(h, gatedMlp(g, y, l.scope('mlp'), c.intermediateSize, c.act))
    })
    const last = g.rmsNorm(g.selectRows(h), w('model.norm'), eps) // [L, D]
    return g.linear(last, w('lm_head'), c.vocabSize) // [L, V]
  },
})
