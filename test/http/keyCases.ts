import { expect } from 'vitest'
import type { KeyEntry } from '../../edge/access/keyEntries.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import type { Scenario } from './deployment.ts'
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
]
