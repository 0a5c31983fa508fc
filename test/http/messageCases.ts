import { expect } from 'vitest'
import { type HttpCase, post } from './httpSuite.ts'

const MESSAGES = '/v1/messages'
const ask = (fields: object = {}) =>
  post({ max_tokens: 50, messages: [{ role: 'user', content: 'hi' }], ...fields })

interface Message {
  content: { type: string; text: string }[]
  usage: { input_tokens: number; output_tokens: number }
}

/** Anthropic's surface. */
export const messageCases: HttpCase[] = [
  {
    name: 'a message, whole and streamed, has the same text',
    async run({ fetch }) {
      const response = await fetch(`${MESSAGES}?beta=true`, ask())
      expect(response.status).toBe(200)
      expect(response.headers.get('request-id')).toBe(response.headers.get('x-request-id'))
      const whole = (await response.json()) as Message
      expect(whole).toMatchObject({
        id: expect.stringMatching(/^msg_[A-Za-z0-9]{24,}$/),
        type: 'message',
        role: 'assistant',
        model: 'scripted/words-1',
        stop_reason: 'end_turn',
        stop_sequence: null,
      })
      const frames = (await (await fetch(MESSAGES, ask({ stream: true }))).text()).split('\n\n')
      const events = frames.filter(Boolean).map(frame => {
        const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? []
        const event = JSON.parse(data)
        expect(event.type).toBe(name)
        return event
      })
      const text = events.map(({ delta }) => delta?.text ?? '').join('')
      expect(text).toBe(whole.content[0]?.text)
      expect(events.at(0)?.message.usage.input_tokens).toBe(whole.usage.input_tokens)
      expect(events.at(-2)?.usage.output_tokens).toBe(whole.usage.output_tokens)
      expect(events.at(-1)?.type).toBe('message_stop')
    },
  },
  {
    name: 'message_start comes at once, pings while nothing happens',
    // Nothing ever does.
    scenario: { engine: { maxRunning: 0, maxWaiting: 1 }, app: { keepAliveMs: 50 } },
    async run({ fetch }) {
      const { body } = await fetch(MESSAGES, ask({ stream: true }))
      const reader = (body as ReadableStream<Uint8Array>).getReader()
      let text = ''
      while (!/ping.*ping/s.test(text)) {
        const { done, value } = await reader.read()
        expect(done).toBe(false)
        text += new TextDecoder().decode(value)
      }
      expect(text).toMatch(/^event: message_start\n/)
      await reader.cancel()
    },
  },
  {
    name: 'tokens are counted',
    async run({ fetch, log }) {
      const count = async (fields: object) => {
        const response = await fetch(`${MESSAGES}/count_tokens`, ask(fields))
        return ((await response.json()) as { input_tokens: number }).input_tokens
      }
      const plain = await count({})
      expect(plain).toBeGreaterThan(0)
      const tools = [{ name: 'f', input_schema: { type: 'object' } }]
      expect(await count({ tools })).toBeGreaterThan(plain)
      expect(await count({ system: 'Be brief.' })).toBeGreaterThan(plain)
      expect(log.at(-1)).toMatchObject({ status: 200, model: 'scripted/words-1' })
    },
  },
  {
    name: 'tools of servers that are not here are said to be left out',
    async run({ fetch }) {
      const tools = [{ type: 'web_search_20250305', name: 'web_search' }]
      const { status, headers } = await fetch(MESSAGES, ask({ tools }))
      expect([status, headers.get('x-warning')]).toEqual([
        200,
        'tools left out: web_search_20250305',
      ])
    },
  },
  {
    name: 'a conversation that the server should hold is refused, in the words its client falls back on',
    async run({ fetch }) {
      const thread = { type: 'continue', previous_message_id: 'msg_1' }
      const response = await fetch(MESSAGES, ask({ thread }))
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({
        error: { details: { error_code: 'thread_unsupported_request', unsupported: ['thread'] } },
      })
    },
  },
  {
    name: 'failures are told in the words of Anthropic',
    scenario: { app: { auth: { apiKeys: ['k'] } } },
    async run({ fetch }) {
      const headers = { 'x-api-key': 'k' }
      const refused = async (init: RequestInit) => {
        const response = await fetch(MESSAGES, init)
        return [response.status, await response.json()]
      }
      const error = (type: string, message: RegExp) => ({
        type: 'error',
        error: { type, message: expect.stringMatching(message) },
        request_id: expect.stringMatching(/^req_/),
      })
      expect(await refused(ask())).toEqual([401, error('authentication_error', /API key/)])
      const asked = (fields: object) => refused({ ...ask(fields), headers })
      expect(await asked({ max_tokens: 'x' })).toEqual([
        400,
        error('invalid_request_error', /'max_tokens': "x"/),
      ])
      expect(await asked({ model: 'claude-opus-9' })).toEqual([
        404,
        error('not_found_error', /claude-opus-9/),
      ])
      expect(await asked({ system: 'x'.repeat(100_001) })).toEqual([
        413,
        error('request_too_large', /larger/),
      ])
    },
  },
  {
    name: 'a model that is loading is an overload that ends soon',
    scenario: { engine: { failSubmit: { kind: 'loading', message: 'still loading' } } },
    async run({ fetch }) {
      const response = await fetch(MESSAGES, ask({ stream: true }))
      expect(response.status).toBe(529)
      expect(response.headers.get('retry-after')).toBe('1')
      expect(await response.json()).toMatchObject({ error: { type: 'overloaded_error' } })
    },
  },
  {
    name: 'a failure in a stream is an error event, without message_stop',
    scenario: {
      engine: { failAfterSteps: { steps: 2, error: { kind: 'internal', message: 'device lost' } } },
    },
    async run({ fetch }) {
      const text = await (await fetch(MESSAGES, ask({ stream: true }))).text()
      expect(text).toMatch(/event: error\ndata: .*"api_error","message":"device lost".*\n\n$/)
      expect(text).not.toContain('message_stop')
    },
  },
]
