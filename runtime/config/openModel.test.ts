import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { prepareModel } from '../models/loadModel.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { openModel } from './openModel.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

const source = path.join(import.meta.dirname, '../../test/goldens/qwen2')
const scratch = mkdtempSync(path.join(tmpdir(), 'open-model-'))
afterAll(() => rmSync(scratch, { recursive: true }))

let copies = 0
/** A copy of a sound model with changed JSON files; undefined removes one. */
function damaged(files: Record<string, unknown>): string {
  const folder = path.join(scratch, String(copies++))
  cpSync(source, folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name)
    if (content === undefined) rmSync(file)
    else writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

const config = JSON.parse(readFileSync(path.join(source, 'config.json'), 'utf8'))

describe('openModel', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['config.json that is not JSON', { 'config.json': '{' }, /config.json: not JSON/],
    ['config.json that is a list', { 'config.json': [] }, /not a JSON object/],
    ['no model_type', { 'config.json': {} }, /no "model_type"/],
    ['no weights', { 'model.safetensors': undefined }, /no model.safetensors/],
    ['no config', { 'config.json': undefined }, /neither config.json nor a .gguf/],
    [
      'an impossible generation config',
      { 'generation_config.json': { temperature: -1 } },
      /generation_config.json: "temperature"/,
    ],
    [
      'impossible sizes',
      { 'config.json': { ...config, num_attention_heads: 0 } },
      /config.json: "num_attention_heads" is 0/,
    ],
    [
      'sizes that are not those of the weights',
      { 'config.json': { ...config, intermediate_size: 100 } },
      /gate_proj.weight" is \[144, 64\], the model needs \[100, 64\]/,
    ],
    [
      'more layers than there are weights for',
      { 'config.json': { ...config, num_hidden_layers: 4, max_window_layers: 4 } },
      /"model.layers.3..* is missing/,
    ],
  ])('rejects %s', async (_, files, message) => {
    const folder = damaged(files)
    const error = await prepareModel(folder).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FileFormatError)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message).toContain(folder)
  })

  it('does not take a quantization method it does not know for plain weights', async () => {
    const folder = damaged({
      'config.json': { ...config, quantization_config: { quant_method: 'gptq' } },
    })
    await expect(openModel(folder)).rejects.toThrow(UnsupportedModelError)
    await expect(openModel(folder)).rejects.toThrow(/"gptq"/)
  })

  it('reads the text part of a multimodal config', async () => {
    const { tie_word_embeddings, architectures, ...text } = config
    const folder = damaged({
      'config.json': {
        model_type: 'some_mm',
        architectures,
        tie_word_embeddings,
        text_config: text,
      },
    })
    const prepared = await prepareModel(folder)
    expect(prepared.config.modelType).toBe('qwen2')
  })

  it('falls back to the end tokens of config.json', async () => {
    const folder = damaged({ 'generation_config.json': undefined })
    expect((await openModel(folder)).generation).toEqual({ eosTokenIds: [590, 588] })
  })

  it('takes nulls in a generation config for nothing said', async () => {
    const folder = damaged({
      'generation_config.json': { eos_token_id: 5, temperature: null, suppress_tokens: [7] },
    })
    const { generation } = await openModel(folder)
    expect(generation).toEqual({ eosTokenIds: [5], suppressTokens: [7] })
  })

  it('refuses a path that is neither folder nor GGUF file', async () => {
    await expect(openModel(path.join(source, 'config.json'))).rejects.toThrow(/neither a folder/)
  })
})

describe('damaged configurations', () => {
  it('end in a plan or in an error that names the file, never in another error', async () => {
    let seed = 5
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n
    }
    const values = [
      0,
      -1,
      1,
      3,
      2.5,
      1e6,
      1e300,
      null,
      'x',
      '',
      true,
      [],
      [1],
      {},
      { rope_type: 'x' },
    ]
    const fields = [...Object.keys(config), 'rope_scaling', 'rope_theta', 'layer_types', 'head_dim']
    const folder = damaged({})
    for (let round = 0; round < 150; round++) {
      const changed = {
        ...config,
        model_type: ['qwen2', 'llama', 'gemma3_text', 'gemma4_text'][random(4)],
      }
      for (let i = 0; i <= random(3); i++) {
        const field = fields[random(fields.length)] ?? ''
        if (field !== 'model_type') changed[field] = values[random(values.length)]
      }
      writeFileSync(path.join(folder, 'config.json'), JSON.stringify(changed))
      const error = await prepareModel(folder).catch((e: unknown) => e)
      if (error instanceof Error && !(error instanceof UnsupportedModelError)) {
        expect(error).toBeInstanceOf(FileFormatError)
      }
    }
  })

  it('cost neither time nor memory when they claim the largest sizes allowed', async () => {
    const largest = { num_hidden_layers: 1024, intermediate_size: 2 ** 20, max_window_layers: 1024 }
    const folder = damaged({ 'config.json': { ...config, ...largest } })
    const started = performance.now()
    await expect(prepareModel(folder)).rejects.toThrow(FileFormatError)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
