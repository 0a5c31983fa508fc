import { expect, test } from 'vitest'
import type { GenerateEvent, GenerateJob } from '../../edge/engine.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { DrainableEngine } from './drainableEngine.ts'

const job: GenerateJob = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['hi'] },
  n: 1,
  sampling: {},
  stop: [],
  maxTokens: 10,
}

async function start(stepDelayMs: number, signal = new AbortController().signal) {
  const scripted = createScriptedEngine({ stepDelayMs })
  const engine = new DrainableEngine(scripted)
  const { events } = await engine.submit(job, signal)
  const read = async () => {
    const all: GenerateEvent[] = []
    for await (const batch of events) all.push(...batch)
    return all
  }
  return { scripted, engine, events: read() }
}

test('running jobs finish, new ones are refused', async () => {
  const { engine, events } = await start(5)
  const drained = engine.drain(5000)
  await expect(engine.submit(job, new AbortController().signal)).rejects.toMatchObject({
    kind: 'draining',
  })
  expect(await engine.health()).toMatchObject({ ready: false, reason: 'draining' })
  await drained
  expect((await events).at(-1)?.kind).toBe('usage')
})

test('at the deadline an error event takes the place of the end', async () => {
  const { engine, events, scripted } = await start(50)
  await engine.drain(70)
  const all = await events
  expect(all.at(-1)).toMatchObject({ seq: all.length - 1, kind: 'error' })
  expect(scripted.numAborted).toBe(1)
})

test('a client that leaves is not waited for', async () => {
  const client = new AbortController()
  const { engine, events } = await start(1000, client.signal)
  const drained = engine.drain(5000)
  client.abort()
  await drained
  expect(await events).toEqual([])
})
