import { beforeEach, describe, expect, test } from 'vitest'
import {
  type Accepted,
  EngineError,
  type EngineErrorKind,
  type GenerateEvent,
  type GenerateJob,
} from '../engine.ts'
import { ApiError } from '../errors.ts'
import { createScriptedEngine } from '../scripted/scriptedEngine.ts'
import { ClientEngine } from './clientEngine.ts'
import { type KeyLimitOptions, KeyLimits } from './keyLimits.ts'

const never = new AbortController().signal
const USAGE = {
  promptTokens: 10,
  cachedTokens: 0,
  reasoningTokens: 0,
  promptMs: 0,
  completionMs: 0,
}

let nowMs = 0
beforeEach(() => {
  nowMs = 0
})

const text = (seq: number): GenerateEvent => ({ v: 1, seq, kind: 'text', index: 0, text: 'a' })
const usage = (seq: number, completionTokens: number): GenerateEvent => ({
  v: 1,
  seq,
  kind: 'usage',
  completionTokens,
  ...USAGE,
})
const error = (seq: number, kind: EngineErrorKind): GenerateEvent => ({
  v: 1,
  seq,
  kind: 'error',
  error: { kind, message: 'no' },
})

/** An engine whose jobs make what the test says, and a client of it with a key. */
function setUp(limits: KeyLimitOptions) {
  const logs = new Map<string, GenerateEvent[]>()
  const attached: string[] = []
  const readings: AbortSignal[] = []
  let isReachable = true
  const accepted = (jobId: string, after: number): Accepted => {
    const log = logs.get(jobId) ?? []
    const events = log.filter(({ seq }) => seq > after)
    return {
      jobId,
      model: 'm',
      fingerprint: null,
      promptTokens: 10,
      cachedTokens: 0,
      queuePosition: 0,
      lastSeq: log.length - 1,
      events: (async function* () {
        if (events.length > 0) yield events
      })(),
    }
  }
  const engine = {
    ...createScriptedEngine(),
    submit({ jobId = `job-${logs.size}` }: GenerateJob): Promise<Accepted> {
      logs.set(jobId, [])
      return Promise.resolve(accepted(jobId, -1))
    },
    async attach(jobId: string, after: number, _: string | undefined, signal: AbortSignal) {
      attached.push(jobId)
      readings.push(signal)
      if (!isReachable) throw new EngineError({ kind: 'unavailable', message: 'gone' })
      if (!logs.has(jobId)) throw new EngineError({ kind: 'job_not_found', message: 'what?' })
      return accepted(jobId, after)
    },
  }
  const client = { name: 'ada', admin: false, limits: new KeyLimits(limits, () => nowMs) }
  const request = (requestId = 'req') => new ClientEngine(engine, requestId, client)
  const submit = (job: Partial<GenerateJob> = {}, requestId?: string) =>
    request(requestId)
      .submit(
        {
          model: 'm',
          prompt: { kind: 'text', prompts: ['x'] },
          n: 1,
          sampling: {},
          stop: [],
          ...job,
        },
        never,
      )
      .then(() => 200)
      .catch(({ data }) => data.status)
  return {
    logs,
    attached,
    readings,
    request,
    submit,
    inBackground: (jobId: string, requestId?: string) => submit({ detach: true, jobId }, requestId),
    /** As a reader of the job does whose client polls or streams. */
    async read(jobId: string) {
      const { events } = await request().attach(jobId, -1, never)
      for await (const _ of events);
    },
    lose() {
      isReachable = false
    },
    refuse(submit: () => never) {
      engine.submit = submit
    },
    tokensLeft: () => client.limits.headers()['x-ratelimit-remaining-tokens'],
  }
}

describe('a detached job that nobody reads, as on Workers after half a minute', () => {
  test('holds its place, and is asked for once a second at most', async () => {
    const { inBackground, submit, attached } = setUp({ maxConcurrent: 1 })
    expect(await inBackground('a')).toBe(200)
    for (nowMs = 0; nowMs < 5000; nowMs += 250) expect(await submit()).toBe(429)
    expect(attached).toHaveLength(4)
  })

  test('has ended when the next request asks for it, and what it made counts', async () => {
    const { inBackground, submit, logs, tokensLeft } = setUp({
      maxConcurrent: 1,
      tokensPerMinute: 1000,
    })
    await inBackground('a')
    logs.get('a')?.push(text(0), text(1))
    nowMs = 1000
    expect(await submit()).toBe(429)
    // The prompt's ten have come back by now.
    expect(tokensLeft()).toBe('998')
    logs.get('a')?.push(usage(2, 300))
    nowMs = 2000
    expect(await submit()).toBe(200)
    expect(tokensLeft()).toBe('692')
  })

  test('is lost with its engine, or when that has forgotten it', async () => {
    for (const forget of [true, false]) {
      const { inBackground, submit, logs, lose } = setUp({ maxConcurrent: 1 })
      await inBackground('a')
      if (forget) logs.clear()
      else lose()
      nowMs += 1000
      expect(await submit()).toBe(200)
    }
  })

  test('is one of a few that a request asks for', async () => {
    const { inBackground, submit, attached, logs } = setUp({ maxConcurrent: 30 })
    for (let i = 0; i < 30; i++) await inBackground(`job-${i}`)
    logs.get('job-20')?.push(error(0, 'internal'))
    nowMs = 1000
    expect([await submit(), attached.length]).toEqual([429, 8])
    expect([await submit(), attached.length]).toEqual([429, 16])
    expect([await submit(), attached.length]).toEqual([200, 24])
  })

  test.each([[[]], [[text(0)]], [[usage(0, 1)]]])(
    'is no longer read once it has told %j',
    async events => {
      const { inBackground, submit, logs, readings } = setUp({ maxConcurrent: 1 })
      await inBackground('a')
      logs.set('a', events)
      nowMs = 1000
      await submit()
      expect(readings.map(({ aborted }) => aborted)).toEqual([true])
    },
  )

  test('counts when it is cancelled', async () => {
    const { inBackground, submit, request, logs, tokensLeft } = setUp({
      maxConcurrent: 1,
      tokensPerMinute: 1000,
    })
    await inBackground('a')
    logs.set('a', [text(0), text(1), error(2, 'cancelled')])
    await request().cancel('a')
    expect(tokensLeft()).toBe('988')
    expect(await submit()).toBe(200)
  })

  test('is heard of though the clock was set back', async () => {
    nowMs = 1e9
    const { inBackground, submit, logs } = setUp({ maxConcurrent: 1 })
    await inBackground('a')
    logs.get('a')?.push(usage(0, 1))
    nowMs = 0
    expect(await submit()).toBe(200)
  })
})

describe('a detached job that is read', () => {
  test('frees its place with the reading that sees its end, and counts once', async () => {
    const { inBackground, submit, logs, read, attached, tokensLeft } = setUp({
      maxConcurrent: 1,
      tokensPerMinute: 1000,
    })
    await inBackground('a')
    logs.get('a')?.push(text(0), text(1), usage(2, 2))
    await Promise.all([read('a'), read('a')])
    expect(tokensLeft()).toBe('988')
    expect(await submit()).toBe(200)
    expect(attached).toEqual(['a', 'a'])
  })

  test('holds its place when the reading breaks off and the job does not', async () => {
    const { inBackground, submit, logs, read } = setUp({ maxConcurrent: 1 })
    await inBackground('a')
    logs.set('a', [text(0), error(1, 'unavailable')])
    await read('a')
    logs.set('a', [text(0), text(1)])
    expect(await submit()).toBe(429)
    logs.set('a', [text(0), text(1), usage(2, 2)])
    nowMs = 1000
    expect(await submit()).toBe(200)
  })

  test('and lost then is asked for at once', async () => {
    const { inBackground, submit, logs, read, lose } = setUp({ maxConcurrent: 1 })
    await inBackground('a')
    logs.set('a', [text(0), error(1, 'unavailable')])
    await read('a')
    lose()
    expect(await submit()).toBe(200)
  })
})

describe('an id that the client chose', () => {
  test('frees no place by the end of another job', async () => {
    const { inBackground, submit, logs, read } = setUp({ maxConcurrent: 1 })
    await inBackground('old')
    logs.get('old')?.push(usage(0, 1))
    await read('old')
    expect(await inBackground('new', 'old')).toBe(200)
    await read('old')
    expect(await submit()).toBe(429)
  })

  test('frees the places of all that it cancels', async () => {
    const { inBackground, submit, request } = setUp({ maxConcurrent: 2 })
    expect([await inBackground('a', 'mine'), await inBackground('b', 'mine')]).toEqual([200, 200])
    expect(await submit()).toBe(429)
    await request().cancel('mine')
    expect([await submit(), await submit(), await submit()]).toEqual([200, 200, 429])
  })
})

test.each([true, false])(
  'a job that is not accepted holds no place, detached: %s',
  async detach => {
    const { submit, refuse } = setUp({ maxConcurrent: 1 })
    refuse(() => {
      throw new ApiError({ status: 400, type: 'invalid_request_error', code: null, message: 'no' })
    })
    for (let i = 0; i < 2; i++) expect(await submit({ detach })).toBe(400)
  },
)

test('a request that tries again counts once', async () => {
  const { request } = setUp({ requestsPerMinute: 1 })
  const one = request()
  const job = {
    model: 'm',
    prompt: { kind: 'text' as const, prompts: ['x'] },
    n: 1,
    sampling: {},
    stop: [],
  }
  await one.submit(job, never)
  await one.submit(job, never)
  await expect(request().submit(job, never)).rejects.toMatchObject({ data: { status: 429 } })
})
