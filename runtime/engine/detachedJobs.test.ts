import { expect, test } from 'vitest'
import type { Accepted, GenerateEvent, GenerateJob } from '../../edge/engine.ts'
import { createScriptedEngine, type ScriptedOptions } from '../../edge/scripted/scriptedEngine.ts'
import { DetachedJobs } from './detachedJobs.ts'
import type { JobLogLimits } from './jobLogs.ts'

const job: GenerateJob = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['hi'] },
  n: 1,
  sampling: {},
  stop: [],
  maxTokens: 10,
  detach: true,
  jobId: 'mine',
}
const never = new AbortController().signal

function setUp(scripted: ScriptedOptions = {}, limits: Partial<JobLogLimits> = {}) {
  const engine = createScriptedEngine(scripted)
  return { engine, jobs: new DetachedJobs(engine, limits) }
}

async function readAll({ events }: Accepted): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = []
  for await (const batch of events) all.push(...batch)
  return all
}

/** The engine's side of a job has ended, and so has its log. */
async function ended(jobs: DetachedJobs, id = 'mine'): Promise<GenerateEvent[]> {
  return readAll(await jobs.attach(id, -1, undefined, never))
}

test('a job goes on without readers, and is read as often as one likes', async () => {
  const { jobs, engine } = setUp({ stepDelayMs: 2 })
  const reader = new AbortController()
  const accepted = await jobs.submit(job, reader.signal)
  expect(accepted).toMatchObject({ jobId: 'mine', model: 'scripted/words-1', lastSeq: -1 })
  reader.abort()
  expect(await readAll(accepted)).toEqual([])
  const whole = await ended(jobs)
  expect(whole.map(({ seq }) => seq)).toEqual([...whole.keys()])
  expect(whole.at(-1)?.kind).toBe('usage')
  expect(engine.numAborted).toBe(0)
  const again = await jobs.attach('mine', 3, undefined, never)
  expect(again.lastSeq).toBe(whole.length - 1)
  expect(await readAll(again)).toEqual(whole.slice(4))
  expect(await readAll(await jobs.attach('mine', 1e6, undefined, never))).toEqual([])
})

test('several readers at once see the same, and one that leaves takes nothing from the others', async () => {
  const { jobs } = setUp({ stepDelayMs: 2 })
  const [first, second, third] = await Promise.all([
    jobs.submit(job, never),
    jobs.submit(job, never),
    jobs.submit({ ...job, prompt: { kind: 'text', prompts: ['ignored'] } }, never),
  ])
  for await (const _ of third.events) break
  expect(await readAll(first)).toEqual(await readAll(second))
})

test('a job is its owner’s', async () => {
  const { jobs, engine } = setUp({ stepDelayMs: 20 })
  await jobs.submit({ ...job, owner: 'me' }, never)
  for (const owner of [undefined, 'you']) {
    await expect(jobs.attach('mine', -1, owner, never)).rejects.toMatchObject({
      kind: 'job_not_found',
    })
    expect(await jobs.cancel('mine', owner)).toBe(false)
  }
  await jobs.submit({ ...job, owner: 'you' }, never)
  expect(engine.jobs).toHaveLength(2)
  expect(await jobs.cancel('mine', 'me')).toBe(true)
  const events = await readAll(await jobs.attach('mine', -1, 'me', never))
  expect(events.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'cancelled' } })
  expect(await jobs.cancel('mine', 'me')).toBe(false)
})

test('cancelled by its request id too', async () => {
  const { jobs } = setUp({ stepDelayMs: 20 })
  const accepted = await jobs.submit({ ...job, requestId: 'req_1' }, never)
  expect(await jobs.cancel('req_1', undefined)).toBe(true)
  expect((await readAll(accepted)).at(-1)?.kind).toBe('error')
})

test('jobs that are not detached end with their reader', async () => {
  const { jobs, engine } = setUp({ stepDelayMs: 20 })
  const { detach: _, jobId: __, ...attended } = job
  for await (const _ of (await jobs.submit(attended, never)).events) break
  expect(engine.numAborted).toBe(1)
  await expect(jobs.submit({ ...attended, jobId: 'x' }, never)).rejects.toMatchObject({
    kind: 'invalid',
    param: 'jobId',
  })
})

test('what is refused leaves nothing behind, and the next of that name is tried by itself', async () => {
  const { jobs } = setUp()
  const wrong = jobs.submit({ ...job, model: 'no/such' }, never)
  const right = jobs.submit(job, never)
  await expect(wrong).rejects.toMatchObject({ kind: 'model_not_found' })
  expect((await readAll(await right)).at(-1)?.kind).toBe('usage')
})

test('a log that is full fails its job', async () => {
  const { jobs, engine } = setUp({ stepDelayMs: 1 }, { maxBytes: 4 * 500 })
  const events = await readAll(
    await jobs.submit({ ...job, ignoreEos: true, maxTokens: 100 }, never),
  )
  expect(events.at(-1)).toMatchObject({ kind: 'error', error: { kind: 'too_large' } })
  expect(events.map(({ seq }) => seq)).toEqual([...events.keys()])
  expect(engine.numAborted).toBe(1)
})

test('ended logs stay for their time, then the oldest makes room', async () => {
  let now = 0
  const { jobs } = setUp({}, { maxLogs: 2, keepMs: 1000, now: () => now })
  const submit = async (jobId: string) => readAll(await jobs.submit({ ...job, jobId }, never))
  await submit('a')
  now = 400
  await submit('b')
  await expect(jobs.submit({ ...job, jobId: 'c' }, never)).rejects.toMatchObject({
    kind: 'busy',
    retryAfterMs: 1000,
  })
  now = 1000
  await submit('c')
  await expect(ended(jobs, 'a')).rejects.toMatchObject({ kind: 'job_not_found' })
  expect((await ended(jobs, 'b')).at(-1)?.kind).toBe('usage')
})

test('an owner with the most logs makes room for others before their time, and for itself not', async () => {
  const { jobs } = setUp({}, { maxLogs: 4, keepMs: 1000, now: () => 0 })
  const submit = async (jobId: string, owner: string) =>
    readAll(await jobs.submit({ ...job, jobId, owner }, never))
  const isKept = (jobId: string, owner: string) =>
    jobs.attach(jobId, -1, owner, never).then(
      () => true,
      () => false,
    )
  for (const id of ['a', 'b', 'c']) await submit(id, 'greedy')
  await submit('d', 'modest')
  await expect(submit('e', 'greedy')).rejects.toMatchObject({ kind: 'busy' })
  await submit('f', 'modest')
  expect(await Promise.all(['a', 'b', 'c'].map(id => isKept(id, 'greedy')))).toEqual([
    false,
    true,
    true,
  ])
  await submit('g', 'third')
  expect(await isKept('b', 'greedy')).toBe(false)
  expect(await isKept('d', 'modest')).toBe(true)
})

test('where the jobs of the owner with the most run, the next one with more makes room', async () => {
  const { jobs } = setUp({ stepDelayMs: 2 }, { maxLogs: 3, keepMs: 1000, now: () => 0 })
  const submit = (jobId: string, owner: string, change: Partial<GenerateJob> = {}) =>
    jobs.submit({ ...job, jobId, owner, ...change }, never)
  const endless = { maxTokens: 4000, ignoreEos: true }
  for (const id of ['a', 'b']) await submit(id, 'busy', endless)
  await readAll(await submit('c', 'done'))
  await readAll(await submit('d', 'new'))
  await expect(jobs.attach('c', -1, 'done', never)).rejects.toMatchObject({ kind: 'job_not_found' })
  for (const id of ['a', 'b']) await jobs.cancel(id, 'busy')
})

test('whoever has as much as the others gets no room of theirs', async () => {
  const { jobs } = setUp({}, { maxLogs: 2, keepMs: 1000, now: () => 0 })
  const submit = (jobId: string, owner: string) => jobs.submit({ ...job, jobId, owner }, never)
  for (const owner of ['one', 'two']) await readAll(await submit('a', owner))
  for (const owner of ['one', 'two']) {
    await expect(submit('b', owner)).rejects.toMatchObject({ kind: 'busy' })
  }
})

test('a job that is cancelled before it is accepted is cancelled for all who asked for it', async () => {
  const { jobs, engine } = setUp({ admitDelayMs: 60_000 })
  const asked = [1, 2, 3].map(() => jobs.submit(job, never).catch(error => error.kind))
  expect(await jobs.cancel('mine', undefined)).toBe(true)
  expect(await Promise.all(asked)).toEqual(['cancelled', 'cancelled', 'cancelled'])
  expect(engine.jobs).toEqual([])
})

test('events that need room take it from the owner with the most', async () => {
  const { jobs } = setUp({}, { maxBytes: 8000, keepMs: 1000, now: () => 0 })
  const size = async (jobId: string, owner: string) =>
    (await readAll(await jobs.submit({ ...job, jobId, owner }, never))).length
  for (let i = 0; i < 6; i++) await size(`greedy-${i}`, 'greedy')
  for (let i = 0; i < 2; i++) expect(await size(`modest-${i}`, 'modest')).toBeGreaterThan(10)
  await expect(jobs.attach('greedy-0', -1, 'greedy', never)).rejects.toMatchObject({
    kind: 'job_not_found',
  })
})
