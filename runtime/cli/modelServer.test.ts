import { expect, test, vi } from 'vitest'
import { text, vocabSize } from '../../test/support/asciiText.ts'
import { fakeEngine } from '../../test/support/fakeEngine.ts'
import { textJob } from '../../test/support/textJob.ts'
import { createContainerApp } from '../container/containerApp.ts'
import { DetachedJobs } from '../engine/detachedJobs.ts'
import type { ManagedEngine } from '../engine/modelRegistry.ts'
import { listen } from '../host/listen.ts'
import { type ModelServerParts, runModels } from './modelServer.ts'

const message = 'cuda, running kernels: an illegal memory access was encountered'
const lost = () => Object.assign(new Error(message), { code: 'device_lost' })
const log = { debug: vi.fn(), info: vi.fn(), notice: vi.fn(), warn: vi.fn(), error: vi.fn() }

const bind: ModelServerParts['bind'] = registry => {
  const app = createContainerApp(new DetachedJobs(registry), {
    limits: { maxBodyBytes: 2 ** 20 },
    onInternalError: () => {},
  })
  return listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'edges' })
}

/** Serves an engine; `ended` is the exit code. */
async function serve(engine: ManagedEngine) {
  const ready = Promise.withResolvers<number>()
  const load: ModelServerParts['load'] = registry =>
    registry.add({ id: 'fake' }, async () => engine)
  const ended = runModels({ bind, load, announce: ready.resolve }, log)
  const url = `http://127.0.0.1:${await ready.promise}/engine/generate`
  const body = JSON.stringify({ ...textJob, maxTokens: 100, ignoreEos: true })
  return { ended, post: () => fetch(url, { method: 'POST', body }) }
}

async function lastEvent(answer: Response): Promise<unknown> {
  const lines = (await answer.text()).trim().split('\n')
  return lines.flatMap(line => JSON.parse(line)).at(-1)
}

test('a lost device ends running requests with an error, then the server with its own exit code', async () => {
  const { engine, native } = fakeEngine(text, { vocabSize })
  const { ended, post } = await serve(engine)
  // After some steps of both: one has sent events already.
  native.beforeForward = () => {
    if (native.numForwards > 10) throw lost()
  }
  const answers = await Promise.all([post(), post()])
  expect(answers.map(answer => answer.status)).toEqual([200, 200])
  for (const answer of answers) {
    expect(await lastEvent(answer)).toMatchObject({
      kind: 'error',
      error: { kind: 'internal', message: `The engine failed: ${message}` },
    })
  }
  expect(await ended).toBe(75)
  expect(log.error).toHaveBeenCalledWith(`Only a new process can go on: ${message}`)
  await expect(post()).rejects.toThrow()
})

test('so does one that is lost while a model loads', async () => {
  const load: ModelServerParts['load'] = registry =>
    registry.add({ id: 'fake' }, () => Promise.reject(lost()))
  expect(await runModels({ bind, load, announce: () => {} }, log)).toBe(75)
})

test('so does a text worker that cannot restart', async () => {
  const lostText = Promise.withResolvers<Error>()
  const { engine, native } = fakeEngine({ ...text, lost: lostText.promise }, { vocabSize })
  const { ended, post } = await serve(engine)
  native.beforeForward = () => {
    if (native.numForwards === 10) lostText.resolve(new Error('no threads'))
  }
  expect(await lastEvent(await post())).toMatchObject({
    kind: 'error',
    error: { kind: 'internal', message: 'The engine failed: no threads' },
  })
  expect(await ended).toBe(75)
  expect(log.error).toHaveBeenCalledWith('Only a new process can go on: no threads')
})

test('an error of an executor that may pass ends its requests only', async () => {
  const { engine, native } = fakeEngine(text, { vocabSize })
  native.beforeForward = () => {
    throw new Error('no memory for a while')
  }
  const { events } = await engine.submit(textJob, new AbortController().signal)
  const kinds: string[] = []
  for await (const some of events) kinds.push(...some.map(event => event.kind))
  expect(kinds.at(-1)).toBe('error')
  const isLost = await Promise.race([engine.lost.then(() => true), Promise.resolve(false)])
  expect(isLost).toBe(false)
  await engine.dispose()
})
