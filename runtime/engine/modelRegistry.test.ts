import { describe, expect, it, vi } from 'vitest'
import { EngineError, type GenerateJob, type ModelInfo } from '../../edge/engine.ts'
import { type ManagedEngine, ModelRegistry } from './modelRegistry.ts'

const signal = new AbortController().signal
const job = (model: string): GenerateJob => ({
  model,
  prompt: { kind: 'text', prompts: ['x'] },
  n: 1,
  sampling: {},
  stop: [],
})

function fakeEngine(id: string, created = 1): ManagedEngine {
  const info: ModelInfo = {
    id,
    aliases: [],
    status: 'loaded',
    created,
    maxModelLen: 10,
    quantization: null,
    vocabSize: 5,
    fingerprint: null,
    inputModalities: [],
    embeddingSize: null,
  }
  return {
    lost: new Promise(() => {}),
    submit: async () => ({
      jobId: 'j',
      model: id,
      fingerprint: null,
      promptTokens: 1,
      cachedTokens: 0,
      queuePosition: 0,
      events: (async function* () {})(),
    }),
    cancel: async asked => asked === id,
    embed: async () => ({ model: id, embeddings: [], promptTokens: 0 }),
    metrics: async () => [],
    tokenize: async () => ({ model: id, count: 0, tokens: [], maxModelLen: 10 }),
    detokenize: async () => '',
    models: async () => [info],
    health: async () => ({
      ready: true,
      running: 1,
      waiting: 2,
      kvPagesUsed: 3,
      kvPagesTotal: 4,
    }),
    drain: vi.fn(async () => {}),
    dispose: vi.fn(async () => {}),
  }
}

describe('ModelRegistry', () => {
  it('finds models by id and alias; the first is the default', async () => {
    const registry = new ModelRegistry()
    await registry.add({ id: 'org/first', aliases: ['first'] }, async () => fakeEngine('org/first'))
    await registry.add({ id: 'second' }, async () => fakeEngine('second'))
    const modelFor = async (name: string) => (await registry.submit(job(name), signal)).model
    expect(await modelFor('')).toBe('org/first')
    expect(await modelFor('default')).toBe('org/first')
    expect(await modelFor('first')).toBe('org/first')
    expect(await modelFor('second')).toBe('second')
    await expect(registry.submit(job('third'), signal)).rejects.toMatchObject({
      kind: 'model_not_found',
      param: 'model',
    })
    expect((await registry.models()).map(m => m.id)).toEqual(['org/first', 'second'])
    expect(await registry.health()).toEqual({
      ready: true,
      running: 2,
      waiting: 4,
      kvPagesUsed: 6,
      kvPagesTotal: 8,
    })
  })

  it('fetches media for a model that takes them, and refuses them before for one that does not', async () => {
    const url = 'http://media/a.png'
    const asked: string[] = []
    const fetchMedia = async (address: string) => {
      asked.push(address)
      return { bytes: Buffer.from('ab'), mimeType: 'image/png' }
    }
    const registry = new ModelRegistry({ fetchMedia })
    const submitted: GenerateJob[] = []
    for (const [id, inputModalities] of [
      ['sees', ['image']],
      ['reads', []],
    ] as const) {
      const engine = fakeEngine(id)
      const [info] = await engine.models()
      if (info === undefined) throw new Error('no model')
      await registry.add({ id }, async () => ({
        ...engine,
        models: async () => [{ ...info, inputModalities: [...inputModalities] }],
        submit: async (job, signal) => {
          submitted.push(job)
          return engine.submit(job, signal)
        },
      }))
    }
    const chat = (model: string): GenerateJob => ({
      ...job(model),
      prompt: {
        kind: 'chat',
        messages: [{ role: 'user', content: [{ type: 'image', source: { kind: 'url', url } }] }],
      },
    })
    await expect(registry.submit(chat('reads'), signal)).rejects.toMatchObject({
      kind: 'unsupported_media',
      param: 'prompt.messages.0.content.0',
    })
    expect(asked).toEqual([])
    await registry.submit(chat('sees'), signal)
    expect(asked).toEqual([url])
    const source = { kind: 'data', mimeType: 'image/png', base64: 'YWI=' }
    expect(submitted).toMatchObject([
      { prompt: { messages: [{ content: [{ type: 'image', source }] }] } },
    ])
  })

  it('lists a model while it loads, and says when to come back', async () => {
    const registry = new ModelRegistry()
    const { promise, resolve } = Promise.withResolvers<ManagedEngine>()
    const loading = registry.add({ id: 'm' }, report => {
      report(1, 4)
      return promise
    })
    expect((await registry.models())[0]).toMatchObject({ id: 'm', status: 'loading' })
    expect(await registry.health()).toMatchObject({ ready: false, reason: 'loading' })
    const refused = registry.submit(job('m'), signal)
    await expect(refused).rejects.toMatchObject({ kind: 'loading' })
    await expect(refused).rejects.toHaveProperty('retryAfterMs', expect.any(Number))
    resolve(fakeEngine('m'))
    await loading
    expect(await registry.submit(job('m'), signal)).toMatchObject({ model: 'm' })
  })

  it('keeps a model that failed to load listed as failed', async () => {
    const registry = new ModelRegistry()
    const loading = registry.add({ id: 'm' }, () => Promise.reject(new Error('no such file')))
    await expect(loading).rejects.toThrow('no such file')
    expect((await registry.models())[0]?.status).toBe('failed')
    expect(await registry.health()).toMatchObject({ reason: 'failed', detail: 'no such file' })
    await expect(registry.submit(job('m'), signal)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('no such file'),
    })
  })

  it('refuses while draining, and disposes of what loads too late', async () => {
    const registry = new ModelRegistry()
    const engine = fakeEngine('m')
    const late = fakeEngine('late')
    const { promise, resolve } = Promise.withResolvers<ManagedEngine>()
    await registry.add({ id: 'm' }, async () => engine)
    const loading = registry.add({ id: 'late' }, () => promise)
    await registry.drain(5)
    expect(engine.drain).toHaveBeenCalledWith(5)
    await expect(registry.submit(job('m'), signal)).rejects.toMatchObject({ kind: 'draining' })
    await registry.dispose()
    expect(engine.dispose).toHaveBeenCalled()
    resolve(late)
    await expect(loading).rejects.toMatchObject({ kind: 'draining' })
    expect(late.dispose).toHaveBeenCalled()
  })
  it('unloads after the running jobs, and loads again when a job asks', async () => {
    const registry = new ModelRegistry()
    const engines: ManagedEngine[] = []
    const load = vi.fn(async () => {
      const engine = fakeEngine('m')
      engines.push(engine)
      return engine
    })
    await registry.add({ id: 'm' }, load)
    expect(await registry.unload('m')).toMatchObject({ id: 'm', status: 'unloaded', vocabSize: 5 })
    expect(engines[0]?.drain).toHaveBeenCalled()
    expect(engines[0]?.dispose).toHaveBeenCalled()
    expect(await registry.health()).toMatchObject({ ready: true, running: 0 })
    expect(await registry.unload('m')).toMatchObject({ status: 'unloaded' })
    expect(await registry.submit(job('m'), signal)).toMatchObject({ model: 'm' })
    expect(load).toHaveBeenCalledTimes(2)
    expect(await registry.load('m')).toMatchObject({ status: 'loaded' })
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('lets nobody notice an unloading who was on the way in', async () => {
    const registry = new ModelRegistry()
    const admission = Promise.withResolvers<void>()
    const draining = new EngineError({ kind: 'draining', message: 'no' })
    const first = {
      ...fakeEngine('m'),
      submit: () => admission.promise.then(() => Promise.reject(draining)),
      detokenize: () => admission.promise.then(() => 'text'),
    }
    const engines = [first, fakeEngine('m')]
    await registry.add({ id: 'm' }, async () => engines.shift() ?? first)
    const asked = registry.submit(job('m'), signal)
    const text = registry.detokenize({ model: 'm', tokens: [] }, signal)
    const unloading = registry.unload('m')
    await vi.waitFor(() => expect(first.drain).toHaveBeenCalled())
    await new Promise(setImmediate)
    expect(first.dispose).not.toHaveBeenCalled()
    admission.resolve()
    expect(await text).toBe('text')
    expect(await unloading).toMatchObject({ status: 'unloaded' })
    expect(await asked).toMatchObject({ model: 'm' })
    expect(engines).toEqual([])
  })

  it('tells who waits too long for an unloading to come back, and loads for nobody who left', async () => {
    const registry = new ModelRegistry()
    const drained = Promise.withResolvers<void>()
    const load = vi.fn(async () => ({ ...fakeEngine('m'), drain: () => drained.promise }))
    await registry.add({ id: 'm' }, load)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const unloading = registry.unload('m')
      await new Promise(setImmediate)
      const late = expect(registry.submit(job('m'), signal)).rejects.toMatchObject({
        kind: 'loading',
        message: expect.stringContaining('being unloaded'),
      })
      await new Promise(setImmediate)
      vi.advanceTimersByTime(20_000)
      await late
      const leaving = new AbortController()
      const left = expect(registry.submit(job('m'), leaving.signal)).rejects.toThrow('left')
      leaving.abort(new Error('left'))
      drained.resolve()
      await unloading
      await left
      expect(load).toHaveBeenCalledTimes(1)
    } finally {
      vi.useRealTimers()
    }
  })

  it('gives a model one age, however often it is loaded', async () => {
    const registry = new ModelRegistry()
    let created = 1
    await registry.add({ id: 'm' }, async () => fakeEngine('m', created++))
    const ages = [await registry.models(), [await registry.unload('m')], await registry.models()]
    await registry.load('m')
    ages.push(await registry.models())
    const distinct = new Set(ages.flat().map(info => info.created))
    expect([...distinct]).toEqual([expect.any(Number)])
    expect([...distinct][0]).toBeGreaterThan(1_700_000_000)
  })

  it('refuses to load what is being unloaded, and to unload what still loads', async () => {
    const registry = new ModelRegistry()
    const { promise, resolve } = Promise.withResolvers<ManagedEngine>()
    const loading = registry.add({ id: 'm' }, () => promise)
    await expect(registry.unload('m')).rejects.toMatchObject({ kind: 'conflict' })
    const { promise: drained, resolve: drain } = Promise.withResolvers<void>()
    resolve({ ...fakeEngine('m'), drain: () => drained })
    await loading
    const unloading = registry.unload('m')
    await expect(registry.load('m')).rejects.toMatchObject({ kind: 'conflict' })
    drain()
    expect(await unloading).toMatchObject({ status: 'unloaded' })
    await expect(registry.load('other')).rejects.toMatchObject({ kind: 'model_not_found' })
  })
})
