import { expect } from 'vitest'
import type { LogEntry } from '../../edge/deps.ts'
import type { Deployment } from './deployment.ts'
import { eventually, type HttpCase, post } from './httpSuite.ts'

const CHAT = '/v1/chat/completions'
const endless = { messages: 'hi', ignore_eos: true, max_tokens: 4000 }
const slow = { engine: { stepDelayMs: 20 } }
const keys = { ...slow, app: { auth: { apiKeys: ['first-key', 'second-key'] } } }

const named = (id: string, key = 'any', body: object = endless) =>
  post(body, { headers: { 'x-request-id': id, authorization: `Bearer ${key}` } })

async function cancel(fetch: Deployment['fetch'], id: string, key = 'any') {
  const path = `/v1/requests/${encodeURIComponent(id)}/cancel`
  const headers = { authorization: `Bearer ${key}` }
  const response = await fetch(path, { method: 'POST', headers })
  return [response.status, await response.json()] as const
}

/** A body that stops half way until it is told to go on. */
function halfSent(text: string) {
  const bytes = new TextEncoder().encode(text)
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const half = writer.write(bytes.subarray(0, bytes.length / 2))
  half.catch(() => {})
  return {
    body: readable,
    async rest() {
      await half
      await writer.write(bytes.subarray(bytes.length / 2))
      await writer.close()
    },
    /** As hosts do with the body of a client that has left. */
    breakOff: () => writer.abort().catch(() => {}),
  }
}

export const cancelCases: HttpCase[] = [
  ...['mine', 'a/b', '100%', '%2f', '?x#y'].map(
    (id): HttpCase => ({
      name: `a stream ends with an error event, id ${id}`,
      scenario: slow,
      async run({ fetch, engine, log }) {
        const response = await fetch(CHAT, named(id, 'any', { ...endless, stream: true }))
        const reading = response.text()
        expect(await cancel(fetch, id)).toEqual([200, { id, cancelled: true }])
        expect(await reading).toMatch(/data: \{"error":.*cancelled.*\}\n\ndata: \[DONE\]\n\n$/)
        await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
        await eventually(() => log.some(e => 'end' in e && e.end === 'error' && e.status === 200))
      },
    }),
  ),
  {
    name: 'an answer in one piece becomes an error that clients do not retry',
    scenario: slow,
    async run({ fetch, engine, log }) {
      const request = fetch(CHAT, named('mine'))
      await eventually(() => engine.numActive === 1)
      expect((await cancel(fetch, 'mine'))[0]).toBe(200)
      const response = await request
      expect(response.status).toBe(499)
      expect(await response.json()).toMatchObject({ error: { code: 'cancelled' } })
      await eventually(() => log.some(e => 'end' in e && e.status === 499 && e.end === 'error'))
    },
  },
  {
    name: 'a queued request leaves the queue',
    scenario: { engine: { maxRunning: 0, maxWaiting: 5 } },
    async run({ fetch, engine }) {
      const request = fetch(CHAT, named('mine'))
      await eventually(() => engine.numActive === 1)
      expect((await cancel(fetch, 'mine'))[0]).toBe(200)
      expect((await request).status).toBe(499)
      expect((await engine.health()).waiting).toBe(0)
    },
  },
  ...(
    [
      [CHAT, endless],
      [CHAT, { ...endless, stream: true }],
      ['/v1/completions', { prompt: 'hi' }],
      ['/v1/embeddings', { input: 'hi' }],
      ['/v1/responses', { input: 'hi', stream: true }],
      ['/v1/responses', { input: 'hi', background: true }],
      ['/v1/messages', { max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }],
    ] as const
  ).map(
    ([path, body]): HttpCase => ({
      name: `a request that is not accepted yet, ${path} ${JSON.stringify(body)}`,
      scenario: { ...keys, engine: { admitDelayMs: 60_000 } },
      async run({ fetch, engine }) {
        const request = fetch(path, named('mine', 'first-key', body))
        const cancelled = async () => (await cancel(fetch, 'mine', 'first-key'))[0]
        // Nothing tells when it has come to the engine.
        await expect.poll(cancelled, { timeout: 5000 }).toBe(200)
        const response = await request
        expect(response.status).toBe(499)
        expect(await response.json()).toMatchObject({
          error: { type: 'invalid_request_error', message: 'The job was cancelled.' },
        })
        expect(engine.jobs).toEqual([])
        expect((await cancel(fetch, 'mine', 'first-key'))[0]).toBe(404)
      },
    }),
  ),
  ...(['goes on', 'leaves'] as const).map(
    (client): HttpCase => ({
      name: `a request whose body is still on its way is not there yet; its client ${client}`,
      scenario: keys,
      async run({ fetch, engine, log }) {
        const { body, rest, breakOff } = halfSent(JSON.stringify(endless))
        const controller = new AbortController()
        const { headers } = named('mine', 'first-key')
        const { signal } = controller
        const init = { method: 'POST', body, headers, signal, duplex: 'half' }
        const answer = fetch(CHAT, init as RequestInit).then(({ status }) => status)
        answer.catch(() => {})
        await eventually(() => log.some(e => 'requestId' in e && e.requestId === 'mine'))
        expect((await cancel(fetch, 'mine', 'first-key'))[0]).toBe(404)
        if (client === 'leaves') {
          controller.abort()
          breakOff()
          const isEnd = (e: LogEntry) => e.event === 'request_completed' && e.requestId === 'mine'
          await eventually(() => log.some(isEnd))
          expect(log.find(isEnd)).toMatchObject({ status: 499, end: 'client_disconnected' })
          expect(engine.jobs).toEqual([])
          return
        }
        await rest()
        await eventually(() => engine.numActive === 1)
        expect((await cancel(fetch, 'mine', 'first-key'))[0]).toBe(200)
        expect(await answer).toBe(499)
      },
    }),
  ),
  {
    name: 'the id of the job names it too',
    scenario: slow,
    async run({ fetch, engine }) {
      const request = fetch(CHAT, named('mine'))
      await eventually(() => engine.numActive === 1)
      expect((await cancel(fetch, 'scripted-1'))[0]).toBe(200)
      expect((await request).status).toBe(499)
    },
  },
  {
    name: 'a request that is not there',
    async run({ fetch }) {
      await (await fetch(CHAT, named('done', 'any', { messages: 'hi', max_tokens: 1 }))).text()
      for (const id of ['done', 'never']) {
        const [status, body] = await cancel(fetch, id)
        expect(status).toBe(404)
        expect(body).toMatchObject({ error: { type: 'invalid_request_error', code: 'not_found' } })
      }
    },
  },
  {
    name: "somebody else's request goes on",
    scenario: keys,
    async run({ fetch, engine }) {
      const request = fetch(CHAT, named('mine', 'first-key'))
      await eventually(() => engine.numActive === 1)
      expect((await cancel(fetch, 'mine', 'second-key'))[0]).toBe(404)
      expect((await cancel(fetch, 'mine', 'no-key'))[0]).toBe(401)
      expect(engine.numActive).toBe(1)
      expect((await cancel(fetch, 'mine', 'first-key'))[0]).toBe(200)
      expect((await request).status).toBe(499)
      expect(engine.jobs[0]?.owner).toMatch(/^key-[0-9a-f]{8}$/)
    },
  },
]
