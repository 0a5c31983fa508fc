import { expect } from 'vitest'
import type { KeyEntry } from '../../edge/access/keyEntries.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import type { Deployment, Scenario } from './deployment.ts'
import { eventually, type HttpCase, post } from './httpSuite.ts'

const CHAT = '/v1/chat/completions'
const chat = { messages: 'hi', max_tokens: 2 }
const endless = { messages: 'hi', ignore_eos: true, max_tokens: 4000 }
const SHA256 = {
  'first-key': '9e24b55356ef2a121ab5fd1a3ee8a3c9191e837f3853e399a369e9044ff183f7',
  'second-key': 'f397f260a275cc4d42e7965c556167bf3f068aed491d35a8f5b38c8c2db96bb0',
}
const ask = (key: keyof typeof SHA256, body: object = chat) =>
  post(body, { headers: { authorization: `Bearer ${key}` } })
/** The first key with these limits, the second without. */
const entries = (limits: Partial<KeyEntry>): KeyEntry[] => [
  { name: 'ada', sha256: SHA256['first-key'], ...limits },
  { name: 'bob', sha256: SHA256['second-key'] },
]
const scenario = (limits: Partial<KeyEntry>, engine = {}): Scenario => ({
  engine,
  app: { auth: { entries: entries(limits) } },
})
const RESPONSES = '/v1/responses'
const one = scenario({ maxConcurrent: 1 }, { stepDelayMs: 20 })
const hi = { input: 'hi', max_output_tokens: 3 }
const endlessHi = { input: 'hi', ignore_eos: true, max_output_tokens: 4000 }
type Fetch = Deployment['fetch']

/** @returns status of the next request of the client */
async function next(fetch: Fetch): Promise<number> {
  const response = await fetch(CHAT, ask('first-key'))
  await response.text()
  return response.status
}

async function inBackground(fetch: Fetch, body: object): Promise<string> {
  const response = await fetch(RESPONSES, ask('first-key', { ...body, background: true }))
  return ((await response.json()) as { id: string }).id
}

/** Ways for a client to see the end of a run in the background. */
const backgroundEnds: Record<string, (fetch: Fetch, id: string) => Promise<unknown>> = {
  'is cancelled': (fetch, id) => fetch(`${RESPONSES}/${id}/cancel`, ask('first-key')),
  'is deleted': (fetch, id) =>
    fetch(`${RESPONSES}/${id}`, { ...ask('first-key'), method: 'DELETE', body: null }),
  'is cancelled as a request': (fetch, id) => fetch(`/v1/requests/${id}/cancel`, ask('first-key')),
}

const other = { ...scriptedModel, id: 'scripted/other', aliases: [] }

async function expectLimited(response: Response): Promise<number> {
  expect(response.status).toBe(429)
  const { error } = (await response.json()) as { error: object }
  expect(error).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded' })
  const ms = Number(response.headers.get('retry-after-ms'))
  expect(response.headers.get('retry-after')).toBe(String(Math.ceil(ms / 1000)))
  expect(ms).toBeGreaterThan(0)
  return ms
}

export const keyCases: HttpCase[] = [
  {
    name: 'hashed keys open, others do not, and jobs carry the name',
    scenario: scenario({}),
    async run({ fetch, engine }) {
      expect((await fetch(CHAT, ask('first-key'))).status).toBe(200)
      const digest = post(chat, { headers: { 'x-api-key': SHA256['first-key'] } })
      expect((await fetch(CHAT, digest)).status).toBe(401)
      expect((await fetch(CHAT, post(chat))).status).toBe(401)
      const anthropic = await fetch(
        '/v1/messages',
        ask('second-key', { ...chat, messages: [{ role: 'user', content: 'hi' }] }),
      )
      expect(anthropic.status).toBe(200)
      expect(anthropic.headers.get('x-ratelimit-limit-requests')).toBeNull()
      expect(engine.jobs.map(({ owner }) => owner)).toEqual(['ada', 'bob'])
    },
  },
  {
    name: 'a key for some models',
    scenario: scenario({ models: [other.id] }, { models: [scriptedModel, other] }),
    async run({ fetch, engine }) {
      const list = await fetch('/v1/models', { headers: { 'x-api-key': 'first-key' } })
      const { data } = (await list.json()) as { data: { id: string; root: string }[] }
      expect(data.map(({ id, root }) => [id, root])).toEqual([
        ['default', other.id],
        [other.id, other.id],
      ])
      expect((await fetch(CHAT, ask('first-key'))).status).toBe(200)
      expect(engine.jobs[0]?.model).toBe(other.id)
      const refused = await fetch(CHAT, ask('first-key', { ...chat, model: 'words' }))
      expect(refused.status).toBe(403)
      expect(await refused.json()).toMatchObject({ error: { type: 'permission_error' } })
      const unknown = await fetch(CHAT, ask('first-key', { ...chat, model: 'gpt-9' }))
      expect(unknown.status).toBe(404)
      expect((await fetch(CHAT, ask('second-key', { ...chat, model: 'words' }))).status).toBe(200)
    },
  },
  {
    name: 'models are loaded and unloaded by keys that may',
    scenario: scenario({ admin: true }),
    async run({ fetch }) {
      for (const change of ['unload', 'reload']) {
        const path = `/v1/models/${change}`
        const asked = (key: keyof typeof SHA256) => ask(key, { model_id: scriptedModel.id })
        expect((await fetch(path, asked('first-key'))).status).toBe(200)
        const refused = await fetch(path, asked('second-key'))
        expect(refused.status).toBe(403)
        expect(await refused.json()).toMatchObject({ error: { type: 'permission_error' } })
      }
    },
  },
  {
    name: 'and none but their own',
    scenario: scenario({ admin: true, models: [other.id] }, { models: [scriptedModel, other] }),
    async run({ fetch }) {
      for (const change of ['unload', 'reload', 'status']) {
        const asked = (model_id: string) =>
          fetch(`/v1/models/${change}`, ask('first-key', { model_id }))
        expect((await asked(scriptedModel.id)).status).toBe(404)
        const response = await asked('default')
        expect([response.status, await response.json()]).toMatchObject([
          200,
          { model_id: other.id },
        ])
      }
    },
  },
  {
    name: 'requests a minute',
    scenario: scenario({ requestsPerMinute: 2 }),
    async run({ fetch }) {
      const first = await fetch(CHAT, ask('first-key'))
      expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2')
      expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1')
      expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^(30|2\d(\.\d+)?)s$/)
      expect(first.headers.get('x-ratelimit-limit-tokens')).toBeNull()
      expect((await fetch(CHAT, ask('first-key'))).status).toBe(200)
      expect(await expectLimited(await fetch(CHAT, ask('first-key')))).toBeLessThanOrEqual(30_000)
      expect((await fetch(CHAT, ask('second-key'))).status).toBe(200)
    },
  },
  {
    name: 'as many texts are split a minute, whichever way',
    scenario: scenario({ requestsPerMinute: 4 }),
    async run({ fetch }) {
      const message = { max_tokens: 1, messages: [{ role: 'user', content: 'hi' }] }
      for (const [path, body, status] of [
        ['/v1/tokenize', { text: 'hi' }, 200],
        ['/v1/detokenize', { tokens: [65] }, 200],
        ['/v1/responses/input_tokens', hi, 200],
        ['/v1/messages/count_tokens', message, 200],
        ['/v1/messages/count_tokens', message, 429],
        ['/v1/apply-template', { messages: 'hi' }, 429],
        ['/v1/messages', message, 200],
        // However many prompts it repeats.
        ['/v1/completions', { prompt: [[65], [66]], echo: true, max_tokens: 1 }, 429],
      ] as const) {
        const response = await fetch(path, ask('first-key', body))
        expect([path, response.status]).toEqual([path, status])
      }
      expect((await fetch('/v1/tokenize', ask('second-key', { text: 'hi' }))).status).toBe(200)
    },
  },
  ...[false, true].map(
    (stream): HttpCase => ({
      name: `tokens a minute, of prompt and answer, stream ${stream}`,
      scenario: scenario({ tokensPerMinute: 1000 }, { reply: () => ' the of and' }),
      async run({ fetch }) {
        const stream_options = stream ? { include_usage: true } : undefined
        const body = { messages: 'hi', stream, stream_options }
        const text = await (await fetch(CHAT, ask('first-key', body))).text()
        const total = Number(/"total_tokens":(\d+)/.exec(text)?.[1])
        expect(total).toBeGreaterThan(10)
        const { headers } = await fetch('/v1/models', { headers: { 'x-api-key': 'first-key' } })
        const left = Number(headers.get('x-ratelimit-remaining-tokens'))
        // Some come back while the test runs, 17 a second.
        expect(left).toBeGreaterThanOrEqual(1000 - total)
        expect(left).toBeLessThan(1000)
      },
    }),
  ),
  {
    name: 'a stream that is left counts as far as it went',
    scenario: scenario({ tokensPerMinute: 60 }, { stepDelayMs: 1 }),
    async run({ fetch, engine }) {
      const { body } = await fetch(CHAT, ask('first-key', { ...endless, stream: true }))
      const reader = (body as ReadableStream<Uint8Array>).getReader()
      const utf8 = new TextDecoder()
      for (let numTokens = 0; numTokens < 60; ) {
        const { value } = await reader.read()
        numTokens += utf8.decode(value).split('"content":').length - 1
      }
      await reader.cancel()
      await eventually(() => engine.numActive === 0)
      await expectLimited(await fetch(CHAT, ask('first-key')))
    },
  },
  {
    name: 'a response that is made in the background counts though nobody reads it',
    scenario: scenario({ tokensPerMinute: 1000 }, { reply: () => ' the'.repeat(400) }),
    async run({ fetch, engine }) {
      const body = { input: 'hi', background: true }
      expect((await fetch('/v1/responses', ask('first-key', body))).status).toBe(200)
      await eventually(() => engine.numActive === 0)
      const init = { headers: { 'x-api-key': 'first-key' } }
      const left = async () =>
        Number((await fetch('/v1/models', init)).headers.get('x-ratelimit-remaining-tokens'))
      await expect.poll(left, { timeout: 5000 }).toBeLessThan(700)
    },
  },
  {
    name: 'requests at once',
    scenario: scenario({ maxConcurrent: 1 }, { stepDelayMs: 20 }),
    async run({ fetch, engine }) {
      const first = await fetch(CHAT, ask('first-key', { ...endless, stream: true }))
      expect(await expectLimited(await fetch(CHAT, ask('first-key')))).toBe(1000)
      expect((await fetch(CHAT, ask('second-key'))).status).toBe(200)
      await first.body?.cancel()
      await eventually(() => engine.numActive === 0)
      expect((await fetch(CHAT, ask('first-key'))).status).toBe(200)
      // One that is refused by the engine holds no place.
      const long = { ...chat, max_tokens: 5000 }
      expect((await fetch(CHAT, ask('first-key', long))).status).toBe(400)
      expect((await fetch(CHAT, ask('first-key'))).status).toBe(200)
    },
  },
  {
    name: 'whoever has seen an answer end may ask again at once',
    scenario: one,
    async run({ fetch }) {
      const message = { max_tokens: 3, messages: [{ role: 'user', content: 'hi' }] }
      for (const [path, body] of [
        [CHAT, chat],
        [CHAT, { ...chat, n: 3 }],
        ['/v1/completions', { prompt: ['a', 'b'], max_tokens: 2 }],
        [RESPONSES, hi],
        [RESPONSES, { ...hi, background: true }],
        ['/v1/messages', message],
      ] as const) {
        for (const stream of [true, false]) {
          if ('background' in body && !stream) continue
          const response = await fetch(path, ask('first-key', { ...body, stream }))
          expect([path, body, response.status]).toEqual([path, body, 200])
          await response.text()
        }
      }
    },
  },
  {
    name: 'a request that failed holds no place',
    scenario: scenario(
      { maxConcurrent: 1 },
      { failAfterSteps: { steps: 0, error: { kind: 'internal', message: 'no' } } },
    ),
    async run({ fetch }) {
      for (const stream of [true, false, true]) {
        const response = await fetch(CHAT, ask('first-key', { ...chat, stream }))
        expect([stream, response.status]).toEqual([stream, stream ? 200 : 500])
        await response.text()
      }
    },
  },
  {
    name: 'a response that was made in the background holds no place',
    scenario: one,
    async run({ fetch }) {
      const id = await inBackground(fetch, hi)
      const headers = { 'x-api-key': 'first-key' }
      const isRunning = async () => {
        const response = await fetch(`${RESPONSES}/${id}`, { headers })
        const { status } = (await response.json()) as { status: string }
        return status === 'queued' || status === 'in_progress'
      }
      while (await isRunning());
      expect(await next(fetch)).toBe(200)
    },
  },
  {
    name: 'a response that is made in the background holds its place when the reader of its stream leaves',
    scenario: one,
    async run({ fetch, engine }) {
      const body = { ...endlessHi, background: true, stream: true }
      const response = await fetch(RESPONSES, ask('first-key', body))
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      const id = /resp_\w+/.exec(new TextDecoder().decode((await reader.read()).value))?.[0]
      await reader.cancel()
      for (let i = 0; i < 5; i++) expect(await next(fetch)).toBe(429)
      expect(engine.numActive).toBe(1)
      await fetch(`${RESPONSES}/${id}/cancel`, ask('first-key'))
      expect(await next(fetch)).toBe(200)
    },
  },
  ...Object.entries(backgroundEnds).map(
    ([name, end]): HttpCase => ({
      name: `the place of a response that is made in the background is free once it ${name}`,
      scenario: one,
      async run({ fetch }) {
        for (let i = 0; i < 2; i++) {
          const id = await inBackground(fetch, endlessHi)
          expect(await next(fetch)).toBe(429)
          await end(fetch, id)
        }
        expect(await next(fetch)).toBe(200)
      },
    }),
  ),
  {
    name: 'a response that waits in the background holds its place, however long it is silent',
    scenario: scenario({ maxConcurrent: 1 }, { maxRunning: 0, maxWaiting: 5 }),
    async run({ fetch }) {
      const id = await inBackground(fetch, hi)
      // By now the next request asks after it.
      await new Promise(resolve => setTimeout(resolve, 1100))
      expect(await next(fetch)).toBe(429)
      await fetch(`${RESPONSES}/${id}/cancel`, ask('first-key'))
      expect(await inBackground(fetch, hi)).toMatch(/^resp_/)
    },
  },
  {
    name: 'a stored stream that is left ends, and its place is free',
    scenario: one,
    async run({ fetch, engine }) {
      const response = await fetch(RESPONSES, ask('first-key', { ...endlessHi, stream: true }))
      expect(await next(fetch)).toBe(429)
      await response.body?.cancel()
      await eventually(() => engine.numActive === 0)
      await expect.poll(() => next(fetch), { timeout: 5000 }).toBe(200)
    },
  },
]
