import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compileModel } from '../models/compileModel.ts'
import { modelDefinition } from '../models/registry.ts'
import type { GgufFile } from '../weights/gguf.ts'
import { ggufNaming } from '../weights/ggufNaming.ts'
import type { GgufValue } from '../weights/ggufValues.ts'
import { ggufConfig } from './ggufConfig.ts'
import { RawConfig } from './rawConfig.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'gguf-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

const goldens = path.join(import.meta.dirname, '../../test/goldens')

function huggingFace(family: string, changes: object): RawConfig {
  const file = path.join(goldens, family, 'config.json')
  const fields = { ...JSON.parse(readFileSync(file, 'utf8')), ...changes }
  return new RawConfig(file, fields.model_type, fields)
}

function compile(raw: RawConfig) {
  const definition = modelDefinition(raw)
  return compileModel(definition, definition.config(raw))
}

/** A GGUF file with the weights of a compiled model, the metadata given and rope factors as its only data. */
function gguf(
  architecture: string,
  metadata: Record<string, GgufValue>,
  weights: readonly { name: string; rows: number; cols: number }[],
  ropeFactors?: number[],
): GgufFile {
  const file = path.join(folder, `${architecture}.gguf`)
  writeFileSync(file, Buffer.from(Float32Array.from(ropeFactors ?? []).buffer))
  const naming = ggufNaming(architecture)
  const all = weights.map(({ name, rows, cols }) => {
    const stored = naming.stored(name)
    if (stored === undefined) throw new Error(`${architecture} has no name for ${name}`)
    return { name: stored, rows, cols }
  })
  if (ropeFactors) all.push({ name: 'rope_freqs.weight', rows: 1, cols: ropeFactors.length })
  const keys = Object.entries(metadata).map(
    ([key, value]) => [`${architecture}.${key}`, value] as const,
  )
  return {
    path: file,
    version: 3,
    alignment: 32,
    metadata: new Map<string, GgufValue>([['general.architecture', architecture], ...keys]),
    tensors: all.map(({ name, rows, cols }) => {
      return {
        name,
        type: 'F32',
        shape: [cols, rows],
        rows,
        cols,
        offset: 0,
        bytes: 4 * rows * cols,
      }
    }),
  }
}

function sizes(raw: RawConfig): Record<string, GgufValue> {
  const number = (field: string) => Number(raw.fields[field])
  return {
    block_count: number('num_hidden_layers'),
    embedding_length: number('hidden_size'),
    feed_forward_length: number('intermediate_size'),
    context_length: number('max_position_embeddings'),
    'attention.head_count': number('num_attention_heads'),
    'attention.head_count_kv': number('num_key_value_heads'),
    'attention.layer_norm_rms_epsilon': number('rms_norm_eps'),
  }
}

/** The plan from GGUF metadata, expected to be the one from config.json to the last digit. */
async function expectSamePlan(file: GgufFile, expected: string) {
  expect(compile(await ggufConfig([file])).text).toBe(expected)
}

describe('ggufConfig', () => {
  it('says of a Llama model what its config.json says', async () => {
    const raw = huggingFace('llama', { rope_scaling: null })
    const { text, weightNames } = compile(raw)
    const metadata = { ...sizes(raw), 'rope.dimension_count': 16, 'rope.freq_base': 500000 }
    await expectSamePlan(gguf('llama', metadata, weightNames), text)
  })

  it('takes stored rope factors for scaling', async () => {
    const raw = huggingFace('llama', {})
    const { weightNames } = compile(raw)
    const metadata = { ...sizes(raw), 'rope.dimension_count': 16, 'rope.freq_base': 500000 }
    const factors = [1, 1, 1, 2, 4, 8, 8, 8]
    const config = await ggufConfig([gguf('llama', metadata, weightNames, factors)])
    expect(config.fields.rope_scaling).toEqual({ rope_type: 'factors', factors })
  })

  it('says of a Qwen 2 model what its config.json says', async () => {
    const raw = huggingFace('qwen2', {})
    const { text, weightNames } = compile(raw)
    await expectSamePlan(gguf('qwen2', { ...sizes(raw), 'rope.freq_base': 1e6 }, weightNames), text)
  })

  it('says of a Gemma 3 model what its config.json says', async () => {
    const raw = huggingFace('gemma3', { query_pre_attn_scalar: 16 })
    const { text, weightNames } = compile(raw)
    const metadata = {
      ...sizes(raw),
      'attention.key_length': 16,
      'attention.sliding_window': 8,
      'attention.sliding_window_pattern': [true, true, false, true],
      'rope.freq_base': 1e6,
      'rope.scaling.type': 'linear',
      'rope.scaling.factor': 8,
    }
    await expectSamePlan(gguf('gemma3', metadata, weightNames), text)
  })

  it('says of a Gemma 4 model what its config.json says', async () => {
    const raw = huggingFace('gemma4-e4b', {})
    const { text, weightNames } = compile(raw)
    const types = raw.fields.layer_types as string[]
    const metadata = {
      ...sizes(raw),
      'attention.head_count_kv': Int32Array.from(types, () => 2),
      'attention.key_length': 32,
      'attention.key_length_swa': 16,
      'attention.sliding_window': 8,
      'attention.sliding_window_pattern': types.map(type => type === 'sliding_attention'),
      'attention.shared_kv_layers': 3,
      embedding_length_per_layer_input: 16,
      final_logit_softcapping: 30,
      'rope.freq_base': 1e6,
      'rope.freq_base_swa': 1e4,
    }
    const factors = Array.from({ length: 16 }, (_, i) => (i < 4 ? 1 : 1e30))
    await expectSamePlan(gguf('gemma4', metadata, weightNames, factors), text)
  })

  it('names an architecture it does not know, and experts', async () => {
    const unknown = gguf('qwen3', {}, [])
    unknown.metadata.set('general.architecture', 'constructor')
    await expect(ggufConfig([unknown])).rejects.toThrow(/"constructor" is not supported/)
    unknown.metadata.set('general.architecture', 'mamba')
    await expect(ggufConfig([unknown])).rejects.toThrow(UnsupportedModelError)
    await expect(ggufConfig([unknown])).rejects.toThrow(/"mamba" is not supported; supported are/)
    const metadata = { expert_count: 8, 'attention.layer_norm_rms_epsilon': 1e-5 }
    await expect(ggufConfig([gguf('llama', metadata, [])])).rejects.toThrow(/experts/)
  })

  it('takes no metadata of another type, and none for granted that has no usual value', async () => {
    const epsilon = { 'attention.layer_norm_rms_epsilon': 1e-5 }
    const wrong = gguf('llama', { ...epsilon, 'rope.freq_base': 'high' }, [])
    await expect(ggufConfig([wrong])).rejects.toThrow(/"llama.rope.freq_base" is not a number/)
    const none = gguf('llama', {}, [])
    await expect(ggufConfig([none])).rejects.toThrow(/no metadata "llama.*epsilon"/)
  })
})
