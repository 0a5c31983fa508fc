import { expect } from 'vitest'
import { eventually, type HttpCase, post } from './httpSuite.ts'

const CHAT = '/v1/chat/completions'
const endless = { messages: 'hi', ignore_eos: true, max_tokens: 4000 }
const slow = { engine: { stepDelayMs: 20 } }

export const disconnectCases: HttpCase[] = [
  {
    name: 'a stream whose reader leaves ends its job',
    scenario: slow,
    async run({ fetch, engine, log }) {
      const response = await fetch(CHAT, post({ ...endless, stream: true }))
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      expect(engine.numActive).toBe(1)
      await reader.cancel()
      await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
      await eventually(() => log.some(e => 'end' in e && e.end === 'client_disconnected'))
    },
  },
  {
    name: 'an answer in one piece is not finished for nobody',
    scenario: slow,
    async run({ fetch, engine, log }) {
      const controller = new AbortController()
      const request = fetch(CHAT, post(endless, { signal: controller.signal }))
      request.catch(() => {})
      await eventually(() => engine.numActive === 1)
      controller.abort()
      await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
      await eventually(() => log.some(e => 'status' in e && e.status === 499))
      expect(log.some(({ event }) => event === 'internal_error')).toBe(false)
    },
  },
  ...[false, true].map(
    (stream): HttpCase => ({
      name: `a queued job leaves the queue with its client, stream ${stream}`,
      scenario: { engine: { maxRunning: 0, maxWaiting: 5 } },
      async run({ fetch, engine }) {
        const controller = new AbortController()
        const request = fetch(CHAT, post({ ...endless, stream }, { signal: controller.signal }))
        const reading = request.then(response => response.text())
        reading.catch(() => {})
        await eventually(() => engine.numActive === 1)
        if (stream) await request
        controller.abort()
        await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
        expect((await engine.health()).waiting).toBe(0)
      },
    }),
  ),
]
