import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { EngineError } from '../../edge/engine.ts'
import { loadLocalEngine } from '../../runtime/engine/createLocalEngine.ts'
import type { LocalEngine } from '../../runtime/engine/localEngine.ts'
import { loadNative } from '../../runtime/loadNative.ts'

/**
 * Broken and hostile model files through all of load and generate: each gives an error that names the file, or runs. A crash
 * or a hang of native code would end the test process.
 */

const goldens = path.join(import.meta.dirname, '../goldens')
const folder = mkdtempSync(path.join(tmpdir(), 'hostile-'))
afterAll(() => rmSync(folder, { recursive: true }))

function hasAddon(): boolean {
  try {
    loadNative()
    return true
  } catch (error) {
    console.log(`skipped: the addon does not load (npm run build): ${error}`)
    return false
  }
}

let copies = 0
/** More than the ten seconds of the text worker's patience, which ends some cases on a machine with much to do. */
const caseMs = 25_000

/** Path of a copy of a golden's model with one file rewritten. */
function hostile(golden: string, file: string, rewrite: (bytes: Buffer) => Buffer): string {
  const target = path.join(folder, String(copies++))
  if (file.endsWith('.gguf')) {
    mkdirSync(target)
    const bytes = rewrite(readFileSync(path.join(goldens, golden, file)))
    writeFileSync(path.join(target, file), bytes)
    return path.join(target, file)
  }
  cpSync(path.join(goldens, golden), target, {
    recursive: true,
    filter: source => !source.endsWith('golden.json'),
  })
  writeFileSync(path.join(target, file), rewrite(readFileSync(path.join(target, file))))
  return target
}

/** Loads a model and lets it answer; what it says in the end. */
async function outcome(model: string): Promise<string> {
  const signal = AbortSignal.timeout(caseMs)
  let engine: LocalEngine | undefined
  try {
    engine = await loadLocalEngine({
      path: model,
      id: 'hostile',
      threads: 1,
      maxSeqs: 2,
      maxBatchedTokens: 64,
      prefixCache: true,
      seed: 1,
    })
    const { events } = await engine.submit(
      {
        model: 'default',
        prompt: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
        n: 1,
        maxTokens: 4,
        sampling: {},
        stop: [],
      },
      signal,
    )
    let last = ''
    for await (const step of events) {
      for (const event of step) if (event.kind === 'error') last = event.error.message
    }
    return signal.aborted ? 'a hang' : last || 'ran'
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // What a client hears is about its request; everything else is about a file and names it.
    if (!(error instanceof EngineError)) expect(error.message).toContain(model)
    return error.message
  } finally {
    await engine?.dispose()
  }
}

type Json = Record<string, unknown>

function json(change: (value: Json) => Json | undefined) {
  return (bytes: Buffer) => {
    const value = JSON.parse(bytes.toString('utf8'))
    return Buffer.from(JSON.stringify(change(value) ?? value))
  }
}

function set(fields: Json) {
  return json(value => ({ ...value, ...fields }))
}

function replaced(text: string) {
  return () => Buffer.from(text)
}

/** Rewrites the table of tensors of a safetensors file. */
function header(change: (tensors: Record<string, Json>) => void) {
  return (bytes: Buffer) => {
    const length = Number(bytes.readBigUInt64LE(0))
    const tensors = JSON.parse(bytes.toString('utf8', 8, 8 + length))
    change(tensors)
    const text = Buffer.from(JSON.stringify(tensors))
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(text.length))
    return Buffer.concat([size, text, bytes.subarray(8 + length)])
  }
}

/** Overwrites the bytes after the only place where `text` occurs. */
function after(text: string, skip: number, bytes: number[]) {
  return (file: Buffer) => {
    const at = file.indexOf(text)
    expect([at >= 0, file.indexOf(text, at + 1)]).toEqual([true, -1])
    file.set(bytes, at + text.length + skip)
    return file
  }
}

/** The last bytes of a file are weights, whatever the tensor. */
function weights(pattern: number[]) {
  return (file: Buffer) => file.fill(Buffer.from(pattern), file.length - 4096)
}

const embedding = 'model.embed_tokens.weight'
const tensor = (fields: Json) => header(all => Object.assign(all[embedding] ?? {}, fields))
const model = (fields: Json) =>
  json(value => ({ ...value, model: { ...(value.model as Json), ...fields } }))

const cases: [name: string, file: string, rewrite: (bytes: Buffer) => Buffer, says: RegExp][] = [
  ['no heads', 'config.json', set({ num_attention_heads: 0 }), /"num_attention_heads" is 0/],
  ['odd head dim', 'config.json', set({ head_dim: 31 }), /"head_dim" is 31/],
  ['too many layers', 'config.json', set({ num_hidden_layers: 999 }), /"model.layers.3.* missing/],
  ['a vast vocabulary', 'config.json', set({ vocab_size: 2 ** 40 }), /"vocab_size"/],
  ['rows beyond', 'config.json', set({ vocab_size: 4096 }), /is \[640, 64\].* needs \[4096, 64\]/],
  ['rope of NaN', 'config.json', set({ rope_theta: 'NaN' }), /"rope_theta"/],
  ['an unknown rope', 'config.json', set({ rope_scaling: { type: 'x' } }), /rope scaling "x"/],
  ['no positions', 'config.json', set({ max_position_embeddings: 1 }), /the context holds 1 /],
  ['vast positions', 'config.json', set({ max_position_embeddings: 2 ** 27 }), /^ran$/],
  ['deep JSON', 'config.json', replaced('['.repeat(1e6)), /config.json: not JSON/],
  ['a negative shape', 'model.safetensors', tensor({ shape: [-640, 64] }), /impossible shape/],
  ['a vast shape', 'model.safetensors', tensor({ shape: [2 ** 52, 64] }), /needs|impossible/],
  ['another order', 'model.safetensors', tensor({ shape: [64, 640] }), /is \[64, 640\]/],
  ['offsets beyond', 'model.safetensors', tensor({ data_offsets: [0, 2 ** 50] }), /bytes/],
  ['an overlap', 'model.safetensors', tensor({ data_offsets: [64, 81984] }), /overlap/],
  ['an unknown dtype', 'model.safetensors', tensor({ dtype: '__proto__' }), /unknown dtype/],
  ['integers', 'model.safetensors', tensor({ dtype: 'I16' }), /dtype I16, only F32/],
  ['NaN weights', 'model.safetensors', weights([0xc0, 0x7f]), /NaN or an infinity/],
  ['infinite weights', 'model.safetensors', weights([0x80, 0x7f]), /NaN or an infinity/],
  ['zero weights', 'model.safetensors', weights([0, 0]), /^ran$/],
  ['a negative end', 'generation_config.json', set({ eos_token_id: -1 }), /"eos_token_id"/],
  ['an end beyond', 'generation_config.json', set({ eos_token_id: [1e9] }), /^ran$/],
  ['bans beyond', 'generation_config.json', set({ suppress_tokens: [1e9, 2 ** 40] }), /^ran$/],
  [
    'everything banned',
    'generation_config.json',
    set({ suppress_tokens: Array.from({ length: 640 }, (_, i) => i) }),
    /every token is banned/,
  ],
  ['cold', 'generation_config.json', set({ temperature: 1e-30 }), /^ran$/],
  ['no vocabulary', 'tokenizer.json', model({ vocab: {} }), /model.vocab is empty/],
  ['vocabulary as a list', 'tokenizer.json', model({ vocab: ['a', 'b'] }), /vocab/],
  ['a vast id', 'tokenizer.json', model({ vocab: { a: 2 ** 40 }, merges: [] }), /1099511627776/],
  ['deep tokenizer', 'tokenizer.json', replaced('{"a":'.repeat(1e5)), /tokenizer.json: /],
  [
    'a token without a row',
    'tokenizer.json',
    json(({ added_tokens: added, ...rest }) => {
      const [first] = added as Json[]
      return {
        ...rest,
        added_tokens: [...(added as Json[]), { ...first, id: 9999, content: 'hi' }],
      }
    }),
    /"hi" \(token 9999\)/,
  ],
  [
    'a regex without an end',
    'tokenizer.json',
    json(value => {
      const pattern = { Regex: '(a+)+$|(h|hi|i)*x' }
      return { ...value, pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated' } }
    }),
    /./,
  ],
  [
    'steps that grow a text',
    'tokenizer.json',
    json(value => {
      const grow = { type: 'Replace', pattern: { String: 'i' }, content: 'iiiiiiiiii' }
      return { ...value, normalizer: { type: 'Sequence', normalizers: Array(12).fill(grow) } }
    }),
    /the tokenizer fails on this text: a text of \d+ characters|did not come to an end/,
  ],
  ['a template cut off', 'chat_template.jinja', replaced('{% if %}'), /chat_template.jinja: /],
  [
    'deep template',
    'chat_template.jinja',
    replaced(`{{ ${'['.repeat(1e5)}${']'.repeat(1e5)} }}`),
    /nested too deeply/,
  ],
  [
    'a template without end',
    'chat_template.jinja',
    replaced('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'),
    /runs too long|did not come to an end/,
  ],
  [
    'recursion',
    'chat_template.jinja',
    replaced('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'),
    /nests too deeply/,
  ],
  ['a vast text', 'chat_template.jinja', replaced("{{ 'a' * 10 ** 12 }}"), /too long/],
  ['a long prompt', 'chat_template.jinja', replaced("{{ 'hi ' * 99999 }}"), /the context holds/],
  ['an escape', 'chat_template.jinja', replaced("{{ ''.constructor('x')() }}"), /no attribute/],
]

const u32 = (value: number) => [0, 8, 16, 24].map(shift => (value >>> shift) & 0xff)
/** Changes type and value of metadata; the length before a key sets it apart from longer ones. */
const key = (name: string, type: number, value: number[]) =>
  after(`${String.fromCharCode(name.length)}${'\0'.repeat(7)}${name}`, 0, [...u32(type), ...value])
/** Metadata types of GGUF. */
const [asUint32, asFloat] = [4, 6]
const nanF32 = [0, 0, 0xc0, 0x7f]

const ggufCases: [name: string, rewrite: (bytes: Buffer) => Buffer, says: RegExp][] = [
  ['no heads', key('qwen3.attention.head_count', asUint32, u32(0)), /"num_attention_heads" is 0/],
  ['vast width', key('qwen3.embedding_length', asUint32, u32(0xffffffff)), /"hidden_size"/],
  ['no layers', key('qwen3.block_count', asUint32, u32(0)), /"num_hidden_layers" is 0/],
  [
    'half a layer',
    key('qwen3.block_count', asFloat, [0, 0, 0, 0x3f]),
    /"num_hidden_layers" is 0.5/,
  ],
  ['epsilon of NaN', key('qwen3.attention.layer_norm_rms_epsilon', asFloat, nanF32), /eps/],
  ['NaN scales', weights([0x00, 0x7e, 0x00, 0x7e]), /NaN or an infinity/],
  [
    'a vast dimension',
    after('token_embd.weight', 4, [...u32(256), 0, 0, 0, 0, 1, 0, 0, 0x40]),
    /./,
  ],
  ['an unknown type', after('token_embd.weight', 20, u32(999)), /unknown type id 999/],
  ['fewer rows', after('token_embd.weight', 12, u32(100)), /100 rows for 640 tokens/],
  ['not aligned', after('token_embd.weight', 24, u32(1)), /not a multiple of the alignment/],
]

describe.skipIf(!hasAddon())('hostile models', { timeout: 60_000 }, () => {
  test.each(cases)('%s in %s', async (_name, file, rewrite, says) => {
    expect(await outcome(hostile('qwen3', file, rewrite))).toMatch(says)
  })

  test.each(ggufCases)('%s in a GGUF file', async (_name, rewrite, says) => {
    expect(await outcome(hostile('gguf-q4_k_s', 'model.gguf', rewrite))).toMatch(says)
  })

  test.each([
    ['qwen3', 'config.json', 1],
    ['qwen3', 'model.safetensors', 0.005],
    ['qwen3', 'tokenizer.json', 1],
    ['gemma3', 'tokenizer.json', 1],
    ['qwen3', 'tokenizer_config.json', 1],
    ['qwen3', 'chat_template.jinja', 1],
    ['gguf-q4_k_s', 'model.gguf', 0.027],
  ])('bytes changed at random in the %s %s', async (golden, file, share) => {
    let state = 20261123
    const random = (below: number) => {
      state = (state * 48271) % 2147483647
      return state % below
    }
    for (let i = 0; i < 8; i++) {
      const changed = hostile(golden, file, bytes => {
        if (i % 4 === 3) return bytes.subarray(0, random(bytes.length))
        for (let n = 0; n <= i; n++) bytes[random(Math.ceil(bytes.length * share))] = random(256)
        return bytes
      })
      expect(await outcome(changed)).not.toBe('a hang')
    }
  })
})
