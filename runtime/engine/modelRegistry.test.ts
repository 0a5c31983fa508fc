import { describe, expect, it, vi } from 'vitest'
import type { GenerateJob, ModelInfo } from '../../edge/engine.ts'
import { type ManagedEngine, ModelRegistry } from './modelRegistry.ts'

const signal = new AbortController().signal
const job = (model: string): GenerateJob => ({
  model,
  prompt: { kind: 'text', prompts: ['x'] },
  n: 1,
  sampling: {},
  stop: [],
})

function fakeEngine(id: string): ManagedEngine {
  const info: ModelInfo = {
    id,
    aliases: [],
    status: 'loaded',
    created: 1,
    maxModelLen: 10,
    quantization: null,
    vocabSize: 5,
    fingerprint: null,
    template: null,
  }
  return {
    submit: async () => ({
      jobId: 'j',
      model: id,
      promptTokens: 1,
      cachedTokens: 0,
      queuePosition: 0,
      events: (async function* () {})(),
    }),
    tokenize: async () => ({ model: id, tokens: [], maxModelLen: 10 }),
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
    registry.add({ id: 'org/first', aliases: ['first'] }, fakeEngine('org/first'))
    registry.add({ id: 'second' }, fakeEngine('second'))
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

  it('lists a model while it loads, and says when to come back', async () => {
    const registry = new ModelRegistry()
    const { promise, resolve } = Promise.withResolvers<ManagedEngine>()
    const loading = registry.add({ id: 'm' }, promise)
    loading.progress(1, 4)
    expect((await registry.models())[0]).toMatchObject({ id: 'm', status: 'loading' })
    expect(await registry.health()).toMatchObject({ ready: false, reason: 'loading' })
    const refused = registry.submit(job('m'), signal)
    await expect(refused).rejects.toMatchObject({ kind: 'loading' })
    await expect(refused).rejects.toHaveProperty('retryAfterMs', expect.any(Number))
    resolve(fakeEngine('m'))
    await promise
    expect(await registry.submit(job('m'), signal)).toMatchObject({ model: 'm' })
  })

  it('keeps a model that failed to load listed as failed', async () => {
    const registry = new ModelRegistry()
    registry.add({ id: 'm' }, Promise.reject(new Error('no such file')))
    await new Promise(resolve => setImmediate(resolve))
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
    registry.add({ id: 'm' }, engine)
    registry.add({ id: 'late' }, promise)
    await registry.drain(5)
    expect(engine.drain).toHaveBeenCalledWith(5)
    await expect(registry.submit(job('m'), signal)).rejects.toMatchObject({ kind: 'draining' })
    await registry.dispose()
    expect(engine.dispose).toHaveBeenCalled()
    resolve(late)
    await new Promise(done => setImmediate(done))
    expect(late.dispose).toHaveBeenCalled()
  })
})
