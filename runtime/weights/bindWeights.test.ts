import { describe, expect, it } from 'vitest'
import { bindWeights } from './bindWeights.ts'
import { FileFormatError } from './fileFormatError.ts'
import { type GgmlTypeName, ggmlTypes } from './ggmlTypes.ts'
import type { GgufFile } from './gguf.ts'
import { ggufSource, safetensorsSource } from './weightSource.ts'

function safetensors(shapes: Record<string, number[]>, dtype = 'BF16') {
  const tensors = Object.entries(shapes).map(([name, shape], i) => {
    const bytes = 2 * shape.reduce((product, dim) => product * dim, 1)
    return { name, path: 'model.safetensors', dtype, shape, offset: i * 10000, bytes }
  })
  return safetensorsSource('model.safetensors', tensors)
}

function gguf(architecture: string, tensors: Record<string, [GgmlTypeName, number, number]>) {
  const list = Object.entries(tensors).map(([name, [type, rows, cols]]) => {
    const { blockBytes, blockSize } = ggmlTypes[type]
    const bytes = (rows * cols * blockBytes) / blockSize
    return { name, type, shape: [cols, rows], rows, cols, offset: 0, bytes }
  })
  const file: GgufFile = {
    path: 'm.gguf',
    version: 3,
    metadata: new Map(),
    tensors: list,
    alignment: 32,
  }
  return ggufSource([file], architecture, { q: 4, kv: 2 })
}

const linear = (name: string, rows: number, cols: number) => ({ name, rows, cols, linear: true })
const vector = (name: string, cols: number) => ({ name, rows: 1, cols, linear: false })

describe('bindWeights', () => {
  it('finds tensors behind any of the prefixes checkpoints use', () => {
    for (const prefix of ['model.', 'model.language_model.', 'language_model.model.', '']) {
      const source = safetensors({
        [`${prefix}embed_tokens.weight`]: [32, 16],
        [`${prefix}norm.weight`]: [16],
        'vision_tower.norm.weight': [9],
      })
      const { weights } = bindWeights(
        [linear('model.embed_tokens.weight', 32, 16), vector('model.norm.weight', 16)],
        source,
      )
      expect(weights.map(weight => weight.parts[0]?.offset)).toEqual([0, 10000])
    }
  })

  it('names a missing tensor and a wrong shape', () => {
    const source = safetensors({ 'model.embed_tokens.weight': [32, 16] })
    const missing = () => bindWeights([vector('model.norm.weight', 16)], source)
    expect(missing).toThrow(FileFormatError)
    expect(missing).toThrow('model.safetensors: tensor "model.norm.weight" is missing')
    expect(() => bindWeights([linear('model.embed_tokens.weight', 32, 8)], source)).toThrow(
      '"model.embed_tokens.weight" is [32, 16], the model needs [32, 8]',
    )
  })

  it('minds the type of a tensor only when it is needed', () => {
    const source = safetensors({ 'model.norm.weight': [16] }, 'F8_E4M3')
    expect(bindWeights([], source).weights).toEqual([])
    expect(() => bindWeights([vector('model.norm.weight', 16)], source)).toThrow(/dtype F8_E4M3/)
  })

  it('quantizes linear weights, with a fallback where rows do not divide, and says so', () => {
    const source = safetensors({
      'model.embed_tokens.weight': [32, 512],
      'a.weight': [8, 512],
      'b.weight': [8, 96],
      'c.weight': [8, 40],
      'model.norm.weight': [512],
    })
    const wanted = [
      { ...linear('model.embed_tokens.weight', 32, 512), linear: false },
      linear('a.weight', 8, 512),
      linear('b.weight', 8, 96),
      linear('c.weight', 8, 40),
      vector('model.norm.weight', 512),
    ]
    const { weights, messages } = bindWeights(wanted, source, 'q4k')
    expect(weights.map(weight => weight.quantize)).toEqual([
      undefined,
      'Q4_K',
      'Q5_0',
      undefined,
      undefined,
    ])
    expect(messages).toEqual([
      '--isq q4k: 1 weights with rows of 96 as Q5_0 (b.weight)',
      '--isq q4k: 1 weights with rows of 40 left as BF16 (c.weight)',
    ])
  })

  it('leaves quantized weights as they are, and says so', () => {
    const source = gguf('qwen3', { 'blk.0.attn_q.weight': ['Q8_0', 32, 64] })
    const wanted = [linear('model.layers.0.self_attn.q_proj.weight', 32, 64)]
    const { weights, messages } = bindWeights(wanted, source, 'q4k')
    expect(weights[0]?.quantize).toBeUndefined()
    expect(messages).toEqual(['--isq q4k: 1 weights are quantized already and stay as they are'])
  })
})

describe('GGUF conventions', () => {
  const part = (source: ReturnType<typeof gguf>, name: string) => source.get(name).parts[0]

  it('undoes the row order of Q and K of the llama architecture only', () => {
    const tensors = {
      'blk.3.attn_q.weight': ['F16', 32, 64],
      'blk.3.attn_k.weight': ['F16', 16, 64],
      'blk.3.attn_v.weight': ['F16', 16, 64],
      'blk.3.attn_q.bias': ['F32', 1, 32],
    } satisfies Parameters<typeof gguf>[1]
    const llama = gguf('llama', tensors)
    const name = (p: string) => `model.layers.3.self_attn.${p}`
    expect(part(llama, name('q_proj.weight'))?.transforms).toEqual([
      { kind: 'unpermuteRows', heads: 4 },
    ])
    expect(part(llama, name('k_proj.weight'))?.transforms).toEqual([
      { kind: 'unpermuteRows', heads: 2 },
    ])
    expect(part(llama, name('v_proj.weight'))?.transforms).toBeUndefined()
    expect(part(gguf('qwen2', tensors), name('q_proj.weight'))?.transforms).toBeUndefined()
    expect(gguf('qwen2', tensors).has(name('q_proj.bias'))).toBe(true)
  })

  it('takes one from the norms of gemma3 only, and knows its four norms', () => {
    const tensors = {
      'blk.0.ffn_norm.weight': ['F32', 1, 16],
      'blk.0.post_attention_norm.weight': ['F32', 1, 16],
      'blk.0.layer_output_scale.weight': ['F32', 1, 1],
    } satisfies Parameters<typeof gguf>[1]
    const gemma3 = gguf('gemma3', tensors)
    expect(part(gemma3, 'model.layers.0.pre_feedforward_layernorm.weight')?.transforms).toEqual([
      { kind: 'addScalar', value: -1 },
    ])
    expect(gemma3.has('model.layers.0.post_attention_layernorm.weight')).toBe(true)
    const gemma4 = gguf('gemma4', tensors)
    expect(
      part(gemma4, 'model.layers.0.pre_feedforward_layernorm.weight')?.transforms,
    ).toBeUndefined()
    expect(gemma4.has('model.layers.0.layer_scalar')).toBe(true)
    expect(gguf('qwen3', tensors).has('model.layers.0.post_attention_layernorm.weight')).toBe(true)
  })
})
