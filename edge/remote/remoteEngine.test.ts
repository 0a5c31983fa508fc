import { describe, expect, test } from 'vitest'
import { textJob as job } from '../../test/support/textJob.ts'
import type { Accepted, GenerateEvent } from '../engine.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import type { EngineFetch } from './engineFetch.ts'
import { RemoteEngine, type RemoteEngineOptions } from './remoteEngine.ts'

const head = {
  jobId: 'j',
  model: 'm',
  fingerprint: 'fp',
  promptTokens: 3,
  cachedTokens: 1,
  queuePosition: 2,
}
const text = (seq: number) => ({ v: 1, seq, kind: 'text', index: 0, text: 'é' })
const finish = { v: 1, seq: 2, kind: 'finish', index: 0, reason: 'stop' }
const usage = { v: 1, seq: 3, kind: 'usage', promptTokens: 3 }
const whole = [head, text(0), text(1), finish, usage]

const ndjson = (values: unknown[]) =>
  new TextEncoder().encode(values.map(value => `${JSON.stringify(value)}\n`).join(''))

interface Upstream {
  requests: { url: string; headers: Record<string, string>; body?: string; signal: AbortSignal }[]
  fetch: EngineFetch
}

/** @param answers one for each request, the last one for all that follow */
function upstream(...answers: (() => Response | Promise<Response>)[]): Upstream {
  const requests: Upstream['requests'] = []
  return {
    requests,
    fetch: async (url, init) => {
      requests.push({ url, ...init })
      init.signal.throwIfAborted()
      const answer = answers[Math.min(requests.length, answers.length) - 1]
      return (answer as () => Response)()
    },
  }
}

/** A body of chunks that then ends, breaks or goes silent. */
function body(chunks: Uint8Array[], then: 'end' | 'break' | 'silence' = 'end') {
  const state = { cancelled: false, numPulled: 0 }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[state.numPulled++]
        if (chunk !== undefined) controller.enqueue(chunk)
        else if (then === 'end') controller.close()
        else if (then === 'break') controller.error(new TypeError('terminated'))
        else return new Promise(() => {})
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { state, answer: () => new Response(stream) }
}

function engine(fetch: EngineFetch, options: Partial<RemoteEngineOptions> = {}) {
  return new RemoteEngine({ url: 'http://gpu:1/', fetch, ...options })
}

function modelsUpstream(status: 'loaded' | 'loading') {
  return upstream(() => Response.json({ models: [{ ...scriptedModel, status }] }))
}

async function read({ events }: Accepted): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = []
  for await (const batch of events) {
    expect(batch.length).toBeGreaterThan(0)
    all.push(...batch)
  }
  return all
}

const submit = (fetch: EngineFetch, options?: Partial<RemoteEngineOptions>) =>
  engine(fetch, options).submit(job, new AbortController().signal)

const refused = () => Promise.reject(new TypeError('fetch failed'))

describe('a job that runs elsewhere', () => {
  test('request and answer, whatever the chunks', async () => {
    const bytes = ndjson(whole)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const chunks = [bytes.slice(0, cut), bytes.slice(cut)].filter(({ length }) => length > 0)
      const { fetch, requests } = upstream(body(chunks).answer)
      const { events, ...accepted } = await submit(fetch, { secret: 's' })
      expect(accepted).toEqual(head)
      expect(await read({ ...accepted, events })).toEqual(whole.slice(1))
      expect(requests).toMatchObject([
        { url: 'http://gpu:1/engine/generate', headers: { 'x-engine-secret': 's' } },
      ])
      expect(JSON.parse(requests[0]?.body ?? '')).toEqual(job)
    }
  })

  test('what arrives together is one item; empty lines and unknown kinds do no harm', async () => {
    const unknown = { v: 2, seq: 0, kind: 'weather', index: 0 }
    const chunks = [
      ndjson([head]),
      new TextEncoder().encode('\n'),
      ndjson([unknown, text(1)]),
      ndjson([finish, usage]),
    ]
    const { events } = await submit(upstream(body(chunks).answer).fetch)
    const items: GenerateEvent[][] = []
    for await (const item of events) items.push(item)
    expect(items).toEqual([
      [unknown, text(1)],
      [finish, usage],
    ])
  })

  test('nothing is read ahead of the reader', async () => {
    const { state, answer } = body(whole.map(value => ndjson([value])))
    const { events } = await submit(upstream(answer).fetch)
    expect(state.numPulled).toBe(1)
    const iterator = events[Symbol.asyncIterator]()
    await iterator.next()
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(state.numPulled).toBe(2)
    expect(() => events[Symbol.asyncIterator]()).toThrow(/once/)
  })

  test('leaving ends the request, also before the first event', async () => {
    const { state, answer } = body([ndjson([head, text(0)]), ndjson([text(1)])], 'silence')
    for await (const [event] of (await submit(upstream(answer).fetch)).events) {
      expect(event).toEqual(text(0))
      break
    }
    expect(state.cancelled).toBe(true)

    const other = body([ndjson([head])], 'silence')
    const client = new AbortController()
    const accepted = await engine(upstream(other.answer).fetch).submit(job, client.signal)
    const reading = read(accepted)
    client.abort()
    expect(await reading).toEqual([])
    expect(other.state.cancelled).toBe(true)
  })

  test('abort before acceptance rejects with its reason', async () => {
    const client = new AbortController()
    const hanging: EngineFetch = (_url, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const submitted = engine(hanging).submit(job, client.signal)
    client.abort('gone')
    await expect(submitted).rejects.toBe('gone')
    await expect(engine(hanging).submit(job, client.signal)).rejects.toBe('gone')
  })
})

describe('an engine that breaks off', () => {
  const lost = (seq: number) => ({ v: 1, seq, kind: 'error', error: { kind: 'unavailable' } })

  test.each<[string, ReturnType<typeof body>]>([
    ['mid-stream', body([ndjson([head, text(0)])], 'break')],
    ['with an orderly end', body([ndjson([head, text(0)])])],
    ['inside a line', body([ndjson([head, text(0)]), ndjson([text(1)]).slice(0, 9)])],
    ['without a word', body([ndjson([head, text(0)])], 'silence')],
    ['into nonsense', body([ndjson([head, text(0)]), ndjson(['x'])], 'silence')],
    ['into broken JSON', body([ndjson([head, text(0)]), Uint8Array.of(0x7b, 0x0a)], 'silence')],
    ['into bytes', body([ndjson([head, text(0)]), Uint8Array.of(0xff, 0x0a)], 'silence')],
    ['and on with a hole', body([ndjson([head, text(0), text(5)])], 'silence')],
  ])('%s becomes an error event', async (_, { answer, state }) => {
    const accepted = await submit(upstream(answer).fetch, { lostAfterMs: 50 })
    expect(await read(accepted)).toMatchObject([text(0), lost(1)])
    // Either it ended by itself or it was let go.
    await new Promise(resolve => setTimeout(resolve))
    expect(state.cancelled || state.numPulled > 1).toBe(true)
  })

  test('after its error event says nothing more', async () => {
    const error = { v: 1, seq: 0, kind: 'error', error: { kind: 'internal', message: 'no' } }
    const accepted = await submit(upstream(body([ndjson([head, error])], 'break').answer).fetch)
    expect(await read(accepted)).toEqual([error])
  })
})

describe('before acceptance', () => {
  test('a connection that fails is tried again', async () => {
    const { fetch, requests } = upstream(
      refused,
      () => body([], 'break').answer(),
      body([ndjson(whole)]).answer,
    )
    expect(await read(await submit(fetch))).toHaveLength(4)
    expect(requests).toHaveLength(3)
  })

  test('but not for ever', async () => {
    const { fetch, requests } = upstream(refused)
    await expect(submit(fetch)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(requests).toHaveLength(3)
  })

  test('an answer is an answer, even a bad one', async () => {
    const error = { kind: 'busy', message: 'full', param: 'x', retryAfterMs: 7 }
    const cases: [() => Response, object][] = [
      [() => Response.json({ error }, { status: 429 }), error],
      [() => new Response('<h1>', { status: 502 }), { kind: 'unavailable', message: /502/ }],
      [() => new Response('<h1>\n'), { kind: 'unavailable', message: /format/ }],
      [() => new Response('[]\n'), { kind: 'unavailable' }],
    ]
    for (const [answer, expected] of cases) {
      const { fetch, requests } = upstream(answer)
      const message = 'message' in expected ? expected.message : ''
      await expect(submit(fetch)).rejects.toMatchObject({
        ...expected,
        ...(message instanceof RegExp && { message: expect.stringMatching(message) }),
      })
      expect(requests).toHaveLength(1)
    }
  })

  test('an engine that does not answer', async () => {
    const hanging: EngineFetch = (_url, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const options = { answerTimeoutMs: 20 }
    await expect(submit(hanging, options)).rejects.toMatchObject({ kind: 'timeout' })
    await expect(engine(hanging, options).models()).rejects.toMatchObject({ kind: 'timeout' })
  })
})

test('the other calls', async () => {
  const signal = new AbortController().signal
  const tokenized = { model: 'm', tokens: [1], maxModelLen: 5 }
  const call = (value: object) => engine(upstream(() => Response.json(value)).fetch)
  expect(
    await call(tokenized).tokenize({ model: 'm', prompt: job.prompt as never }, signal),
  ).toEqual(tokenized)
  expect(await call({ text: 'a' }).detokenize({ model: 'm', tokens: [1] }, signal)).toBe('a')
  expect(await call({ ready: true }).health()).toEqual({ ready: true })
  await expect(call({}).models()).rejects.toMatchObject({ kind: 'unavailable' })
})

test('models are asked for once in a while, and each time while one is loading', async () => {
  const numAsked = async (status: 'loaded' | 'loading') => {
    const { fetch, requests } = modelsUpstream(status)
    const remote = engine(fetch)
    for (let i = 0; i < 3; i++) expect(await remote.models()).toHaveLength(1)
    return requests.length
  }
  expect(await numAsked('loaded')).toBe(1)
  expect(await numAsked('loading')).toBe(3)
})

test('many who ask for the models at once make one request, where they may wait for each other', async () => {
  const numAsked = async (sharesAnswers: boolean) => {
    const { fetch, requests } = modelsUpstream('loading')
    const remote = engine(fetch, { sharesAnswers })
    for (let wave = 0; wave < 2; wave++) {
      const lists = await Promise.all(Array.from({ length: 5 }, () => remote.models()))
      for (const list of lists) expect(list).toHaveLength(1)
    }
    return requests.length
  }
  expect(await numAsked(true)).toBe(2)
  expect(await numAsked(false)).toBe(10)
})

test('what was asked before models change says nothing of the time after', async () => {
  let status = 'loaded'
  const slow = Promise.withResolvers<void>()
  const remote = engine(
    async url => {
      const models = [{ ...scriptedModel, status }]
      if (url.endsWith('/unload')) status = 'unloaded'
      else if (status === 'loaded') await slow.promise
      return Response.json({ models })
    },
    { sharesAnswers: true },
  )
  const early = remote.models()
  await remote.unload(scriptedModel.id)
  expect(await remote.models()).toMatchObject([{ status: 'unloaded' }])
  slow.resolve()
  expect(await early).toMatchObject([{ status: 'loaded' }])
  expect(await remote.models()).toMatchObject([{ status: 'unloaded' }])
})

test('a question for the models that fails is asked again', async () => {
  let isDown = true
  const up = modelsUpstream('loaded')
  const down = upstream(() => new Response(null, { status: 500 }))
  const remote = engine((url, init) => (isDown ? down : up).fetch(url, init), {
    sharesAnswers: true,
  })
  await expect(remote.models()).rejects.toMatchObject({ kind: 'unavailable' })
  isDown = false
  expect(await remote.models()).toHaveLength(1)
})
