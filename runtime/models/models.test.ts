import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { openModel } from '../config/openModel.ts'
import { RawConfig } from '../config/rawConfig.ts'
import { UnsupportedModelError } from '../config/unsupportedModelError.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { compileModel } from './compileModel.ts'
import { prepareModel } from './loadModel.ts'
import { modelDefinition, supportedModelTypes } from './registry.ts'

const goldens = path.join(import.meta.dirname, '../../test/goldens')
const families = readdirSync(goldens).filter(name =>
  existsSync(path.join(goldens, name, 'golden.json')),
)

/** Ops of one layer in the middle of the fused plan. */
function layerOps(plan: string, layer: number): string[] {
  const lines = plan.split('\n')
  const id = (i: number) =>
    lines
      .find(line => line.endsWith(`name=model.layers.${i}.input_layernorm.weight`))
      ?.split(' ')[1]
  const ops = lines.filter(line => line.startsWith('op '))
  const at = (i: number) => ops.findIndex(line => line.includes(`norm=${id(i)} `))
  return ops.slice(at(layer), at(layer + 1)).map(line => line.split(' ')[1] ?? '')
}

describe.each(families)('%s', family => {
  it('finds a weight of the right shape for everything the plan names', async () => {
    const prepared = await prepareModel(path.join(goldens, family))
    expect(prepared.weights.length).toBeGreaterThan(10)
    expect(prepared.messages).toEqual([])
    expect(prepared.config.maxModelLen).toBe(2048)
    expect(prepared.generation.eosTokenIds.length).toBeGreaterThan(0)
  })

  it('compiles without fusion too', async () => {
    const { plan } = await prepareModel(path.join(goldens, family), { fuse: false })
    expect(plan).not.toContain('gated_linear')
    expect(plan).not.toContain('norm_rope')
  })
})

describe('fused layers', () => {
  it.each([
    [
      'llama',
      ['linear', 'rope', 'rope', 'kv_write', 'attention', 'linear', 'gated_linear', 'linear'],
    ],
    [
      'qwen3',
      [
        'linear',
        'norm_rope',
        'norm_rope',
        'kv_write',
        'attention',
        'linear',
        'gated_linear',
        'linear',
      ],
    ],
    [
      'gemma3',
      [
        ...['linear', 'norm_rope', 'norm_rope', 'kv_write', 'attention', 'linear', 'rms_norm'],
        ...['gated_linear', 'linear', 'rms_norm'],
      ],
    ],
    [
      'gemma4-e4b',
      [
        ...['linear', 'norm_rope', 'norm_rope', 'rms_norm', 'kv_write', 'attention', 'linear'],
        ...['rms_norm', 'gated_linear', 'linear', 'rms_norm'],
        ...['linear', 'act_mul', 'linear', 'rms_norm'],
      ],
    ],
  ])('%s', async (family, ops) => {
    const { plan } = await prepareModel(path.join(goldens, family))
    expect(layerOps(plan, 1)).toEqual(ops)
  })
})

describe('gemma4', () => {
  it('shares the keys of the last owning layer of the same type and asks for none of its own', async () => {
    const { plan, kvGroups, weights } = await prepareModel(path.join(goldens, 'gemma4-e4b'))
    const reads = plan.split('\n').filter(line => line.startsWith('op attention'))
    const places = reads.map(line => /group=(\d+) layer=(\d+)/.exec(line)?.slice(1).map(Number))
    // Layers 0-4 own storage (s s f s s); 5-7 are f s f.
    expect(places).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [0, 2],
      [0, 3],
      [1, 0],
      [0, 3],
      [1, 0],
    ])
    expect(kvGroups.map(group => group.layers)).toEqual([4, 1])
    const names = weights.map(weight => weight.name)
    expect(names).toContain('model.layers.4.self_attn.k_proj.weight')
    expect(names).not.toContain('model.layers.5.self_attn.k_proj.weight')
  })
})

const small = {
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
}

function compile(modelType: string, fields: Record<string, unknown>) {
  const raw = new RawConfig('config.json', modelType, { ...small, ...fields })
  const definition = modelDefinition(raw)
  const config = definition.config(raw)
  return { config, ...compileModel(definition, config) }
}

describe('configurations', () => {
  it.each([
    ['mistral with a window', 'mistral', { sliding_window: 8 }, ['sliding']],
    ['mistral without', 'mistral', { sliding_window: null }, ['full']],
    [
      'qwen2 with an unused window',
      'qwen2',
      { sliding_window: 8, use_sliding_window: false },
      ['full'],
    ],
    [
      'qwen3 sliding from a layer on',
      'qwen3',
      { sliding_window: 8, use_sliding_window: true, max_window_layers: 2 },
      ['full', 'sliding'],
    ],
    [
      'gemma3 with its pattern left out',
      'gemma3_text',
      { sliding_window_pattern: 2 },
      ['sliding', 'full'],
    ],
  ])('%s', (_, modelType, fields, kinds) => {
    expect(compile(modelType, fields).kvGroups.map(group => group.kind)).toEqual(kinds)
  })

  it('has no cap on attention scores in Gemma 3, whatever the config says', () => {
    const capped = compile('gemma3_text', { attn_logit_softcapping: 20 })
    expect(capped.text).toBe(compile('gemma3_text', {}).text)
  })

  it('ties the head to the embedding only where the config says so', () => {
    const names = (fields: object) => compile('llama', { ...fields }).weightNames.map(w => w.name)
    expect(names({ tie_word_embeddings: false })).toContain('lm_head.weight')
    expect(names({ tie_word_embeddings: true })).not.toContain('lm_head.weight')
    expect(names({})).toContain('lm_head.weight')
  })

  it('marks the operands of linears, a tied embedding among them', () => {
    const { weightNames } = compile('llama', { tie_word_embeddings: true })
    const linear = new Map(weightNames.map(weight => [weight.name, weight.linear]))
    expect(linear.get('model.embed_tokens.weight')).toBe(true)
    expect(linear.get('model.norm.weight')).toBe(false)
    expect(linear.get('model.layers.0.mlp.gate_proj.weight')).toBe(true)
  })

  it('reaches as far as YaRN stretches', () => {
    const rope_scaling = { type: 'yarn', factor: 4, original_max_position_embeddings: 64 }
    expect(compile('qwen2', { rope_scaling }).config.maxPositions).toBe(256)
  })

  it.each<[Record<string, unknown>, RegExp]>([
    [{ num_attention_heads: 0 }, /"num_attention_heads" is 0, must be an integer from 1 to 1024/],
    [{ num_attention_heads: -4 }, /"num_attention_heads" is -4/],
    [
      { num_key_value_heads: 3 },
      /"num_key_value_heads" is 3, must be a divisor of num_attention_heads \(2\)/,
    ],
    [{ hidden_size: 1e12 }, /"hidden_size" is 1000000000000, must be an integer from 1 to 65536/],
    [{ num_hidden_layers: 1e6 }, /"num_hidden_layers" is 1000000/],
    [{ vocab_size: 'many' }, /"vocab_size" is "many"/],
    [{ vocab_size: undefined }, /"vocab_size" is missing/],
    [{ head_dim: 7 }, /"head_dim" is 7, must be an even number/],
    [{ rms_norm_eps: 0 }, /"rms_norm_eps" is 0/],
    [{ hidden_act: 'relu' }, /"hidden_act" is "relu", must be one of silu/],
    [{ layer_types: ['full_attention'] }, /"layer_types" is .*, must be a list of 4/],
    [{ num_hidden_layers: 2.5 }, /2.5/],
  ])('rejects %j', (fields, message) => {
    expect(() => compile('mistral', fields)).toThrow(FileFormatError)
    expect(() => compile('mistral', fields)).toThrow(message)
  })

  it('names an architecture it does not know and those it does', () => {
    expect(() => compile('mixtral', {})).toThrow(UnsupportedModelError)
    expect(() => compile('mixtral', {})).toThrow(
      `"mixtral" is not supported; supported are ${supportedModelTypes.join(', ')}`,
    )
    expect(() => compile('gemma4_text', { enable_moe_block: true })).toThrow(/experts/)
  })
})

describe('openModel', () => {
  it('reads a GGUF model in a folder as it would read the same model in Hugging Face layout', async () => {
    const model = await openModel(path.join(goldens, 'gguf-q4_k_s'))
    expect(model.quantization).toBe('q4_k_s')
    expect(model.config.modelType).toBe('qwen3')
    expect(model.config.fields).toMatchObject({
      vocab_size: 640,
      hidden_size: 256,
      head_dim: 64,
      rope_theta: 1e6,
      tie_word_embeddings: true,
    })
    // The end token of the metadata and the other control token that ends a text.
    expect(model.generation.eosTokenIds).toEqual([628, 630])
  })

  it('reads the generation config of a Hugging Face folder', async () => {
    const model = await openModel(path.join(goldens, 'llama'))
    expect(model.generation).toEqual({
      eosTokenIds: [593, 596],
      doSample: true,
      temperature: 0.7,
      topK: 20,
      topP: 0.8,
    })
    expect(model.quantization).toBe('f32')
  })
})
