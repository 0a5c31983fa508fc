import { expect, test } from 'vitest'
import { ClientEngine } from '../access/clientEngine.ts'
import { EngineError, type EngineErrorKind, type GenerateEvent } from '../engine.ts'
import { createMemoryResponseStore } from '../responseStore/memoryResponseStore.ts'
import { createScriptedEngine, scriptedModel } from '../scripted/scriptedEngine.ts'
import { responseRequest } from './responseRequest.ts'
import { refresh } from './storedRuns.ts'

/** A stored response in the background, and an engine whose readings go as told, one after the other. */
async function setUp(...readings: (GenerateEvent[] | EngineErrorKind)[]) {
  const identity = { id: 'resp_x', created: 1, canStore: true }
  const request = responseRequest({ input: 'hi', background: true }, [scriptedModel], identity)
  const { head, input, include } = request
  const store = createMemoryResponseStore(Date.now)
  const stored = { response: head, input, include, detached: true }
  await store.put(stored)
  const engine = createScriptedEngine()
  const signals: AbortSignal[] = []
  engine.attach = async (_id, _after, _owner, signal) => {
    signals.push(signal)
    const reading = readings.shift()
    if (!Array.isArray(reading))
      throw new EngineError({ kind: reading ?? 'internal', message: 'no' })
    return {
      jobId: 'resp_x',
      model: scriptedModel.id,
      fingerprint: null,
      promptTokens: 1,
      cachedTokens: 0,
      queuePosition: 0,
      lastSeq: reading.length - 1,
      events: (async function* () {
        if (reading.length > 0) yield reading
      })(),
    }
  }
  const scope = { engine: new ClientEngine(engine, 'req_x', undefined) }
  return {
    refresh: () => refresh(stored, 'now', scope, store),
    numReading: () => signals.filter(({ aborted }) => !aborted).length,
    kept: async () => (await store.get('resp_x', undefined))?.response,
  }
}

const text = (seq: number): GenerateEvent => ({ v: 1, seq, kind: 'text', index: 0, text: 'a' })
const finish: GenerateEvent[] = [
  text(0),
  { v: 1, seq: 1, kind: 'finish', index: 0, reason: 'stop' },
  {
    v: 1,
    seq: 2,
    kind: 'usage',
    promptTokens: 1,
    cachedTokens: 0,
    completionTokens: 1,
    reasoningTokens: 0,
    promptMs: 0,
    completionMs: 0,
  },
]

test('a run is as far as its events are, and kept at its end', async () => {
  const run = await setUp([], [text(0)], finish)
  expect((await run.refresh()).response).toMatchObject({ status: 'queued', output: [] })
  expect((await run.refresh()).response).toMatchObject({
    status: 'in_progress',
    output: [{ status: 'in_progress', content: [{ text: 'a' }] }],
  })
  expect((await run.kept())?.status).toBe('queued')
  const { response } = await run.refresh()
  expect(response.status).toBe('completed')
  expect(await run.kept()).toEqual(response)
})

test.each(['unavailable', 'draining', 'timeout'] as const)(
  'a reading that ends with %s says nothing of the run',
  async kind => {
    const error = { kind, message: 'lost' }
    const run = await setUp([text(0), { v: 1, seq: 1, kind: 'error', error }], kind, finish)
    await expect(run.refresh()).rejects.toMatchObject({ kind })
    await expect(run.refresh()).rejects.toMatchObject({ kind })
    expect((await run.kept())?.status).toBe('queued')
    expect((await run.refresh()).response.status).toBe('completed')
  },
)

test.each([
  ['waits', []],
  ['goes on', [text(0)]],
  ['has ended', finish],
])('a run that %s is read no longer than it takes', async (_, events) => {
  const run = await setUp(events)
  await run.refresh()
  expect(run.numReading()).toBe(0)
})

test('a run that the engine does not know any more has failed', async () => {
  const run = await setUp('job_not_found')
  const { response } = await run.refresh()
  expect(response).toMatchObject({ status: 'failed', error: { code: 'server_error' } })
  expect(await run.kept()).toEqual(response)
})
