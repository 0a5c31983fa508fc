import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadNative } from '../loadNative.ts'
import { loadLocalEngine, loadModelEngine } from './createLocalEngine.ts'
import { EmbeddingEngine } from './embeddingEngine.ts'

interface Golden {
  cases: { text: string; input_ids: number[]; embedding: number[] }[]
}

const goldens = path.join(import.meta.dirname, '../../test/goldens')
const signal = new AbortController().signal

function isNativeThere(): boolean {
  try {
    loadNative()
    return true
  } catch (error) {
    console.log(`skipped without the native addon: ${error}`)
    return false
  }
}

async function load(folder: string, maxSeqs = 3): Promise<EmbeddingEngine> {
  const engine = await loadModelEngine({
    path: folder,
    id: 'tiny',
    threads: 2,
    maxSeqs,
    maxBatchedTokens: 64,
    kvTokens: 4096,
    kvType: 'f32',
    prefixCache: true,
    poisonKv: true,
  })
  if (engine instanceof EmbeddingEngine) return engine
  throw new Error(`${folder} was loaded as a model that generates`)
}

function vectorOf(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64')
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}

const cosine = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0)

describe.skipIf(!isNativeThere()).each(['qwen3-embedding', 'embedding-gemma'])('%s', name => {
  let engine: EmbeddingEngine
  let golden: Golden
  beforeAll(async () => {
    engine = await load(path.join(goldens, name))
    golden = JSON.parse(await readFile(path.join(goldens, name, 'golden.json'), 'utf8'))
  })
  afterAll(() => engine.dispose())

  it('gives the reference embeddings, of texts and of token ids, all at once', async () => {
    const inputs = golden.cases.flatMap(({ text, input_ids }) => [text, input_ids])
    const { embeddings, promptTokens, model } = await engine.embed(
      { model: 'tiny', inputs },
      signal,
    )
    expect(model).toBe('tiny')
    expect(promptTokens).toBe(golden.cases.reduce((n, c) => n + 2 * c.input_ids.length, 0))
    for (const [i, { embedding }] of golden.cases.entries()) {
      for (const encoded of [embeddings[2 * i], embeddings[2 * i + 1]]) {
        expect(cosine(vectorOf(encoded ?? ''), embedding)).toBeGreaterThan(0.99999)
      }
    }
    engine.checkInvariants()
  })

  it('gives the same bits alone and beside others', async () => {
    const texts = golden.cases.map(({ text }) => text)
    const together = await engine.embed({ model: 'tiny', inputs: [...texts, ...texts] }, signal)
    for (const [i, text] of texts.entries()) {
      const { embeddings } = await engine.embed({ model: 'tiny', inputs: [text] }, signal)
      expect(embeddings).toEqual([together.embeddings[i]])
      expect(together.embeddings[i + texts.length]).toBe(together.embeddings[i])
    }
  })

  it('shortens an embedding to the first numbers, of length 1 again', async () => {
    const [item] = golden.cases
    const job = { model: 'tiny', inputs: [item?.text ?? ''] }
    const { embeddings } = await engine.embed({ ...job, dimensions: 16 }, signal)
    const short = vectorOf(embeddings[0] ?? '')
    expect(short).toHaveLength(16)
    expect(Math.hypot(...short)).toBeCloseTo(1, 5)
    const first = item?.embedding.slice(0, 16) ?? []
    expect(cosine(short, first) / Math.hypot(...first)).toBeGreaterThan(0.99999)
    await expect(engine.embed({ ...job, dimensions: 1000 }, signal)).rejects.toMatchObject({
      kind: 'invalid',
      param: 'dimensions',
    })
  })

  it('refuses what is too long, or cuts its end when asked', async () => {
    const inputs = ['word '.repeat(3000)]
    await expect(engine.embed({ model: 'tiny', inputs }, signal)).rejects.toMatchObject({
      kind: 'context_length',
      param: 'inputs.0',
    })
    const { promptTokens } = await engine.embed({ model: 'tiny', inputs, truncate: true }, signal)
    expect(promptTokens).toBe(engine.info.maxModelLen)
  })

  it('takes the longest input in a cache for one sequence', async () => {
    const small = await load(path.join(goldens, name), 1)
    const longest = Array.from({ length: small.info.maxModelLen ?? 0 }, (_, i) => 10 + (i % 100))
    const { promptTokens } = await small.embed({ model: 'tiny', inputs: [longest] }, signal)
    expect(promptTokens).toBe(small.info.maxModelLen)
    await small.dispose()
  })

  it('forgets a request that is aborted or cancelled', async () => {
    const controller = new AbortController()
    const inputs = Array.from({ length: 50 }, (_, i) => `text number ${i} of many more`)
    const aborted = engine.embed({ model: 'tiny', inputs }, controller.signal)
    const named = engine.embed({ model: 'tiny', inputs, requestId: 'r', owner: 'me' }, signal)
    const refused = Promise.all([
      expect(aborted).rejects.toThrow(),
      expect(named).rejects.toMatchObject({ kind: 'cancelled' }),
    ])
    controller.abort()
    while (!(await engine.cancel('r', 'me'))) await new Promise(setImmediate)
    await refused
    expect(await engine.cancel('r', 'me')).toBe(false)
    const { embeddings } = await engine.embed({ model: 'tiny', inputs: ['after'] }, signal)
    expect(embeddings).toHaveLength(1)
    engine.checkInvariants()
  })

  it('is lost with its text worker, when that cannot restart', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mistralrs-embedding-'))
    await cp(path.join(goldens, name), folder, { recursive: true })
    const lost = await load(folder)
    await rm(folder, { recursive: true })
    const posted = vi.spyOn(Worker.prototype, 'postMessage')
    const embedding = lost.embed({ model: 'tiny', inputs: ['a'] }, signal).catch(() => {})
    const [worker] = posted.mock.contexts
    posted.mockRestore()
    if (worker instanceof Worker) await worker.terminate()
    await embedding
    expect((await lost.lost).message).toContain('could not restart')
    expect(await lost.health()).toMatchObject({ ready: false, reason: 'failed' })
    await expect(lost.embed({ model: 'tiny', inputs: ['b'] }, signal)).rejects.toMatchObject({
      kind: 'unavailable',
    })
    await lost.dispose()
  })

  it('does not generate', async () => {
    await expect(engine.submit()).rejects.toMatchObject({ kind: 'invalid', param: 'model' })
    const loading = loadLocalEngine({
      path: path.join(goldens, name),
      id: 'tiny',
      threads: 1,
      maxSeqs: 1,
      maxBatchedTokens: 64,
      prefixCache: false,
    })
    await expect(loading).rejects.toThrow('embedding model')
  })
})
