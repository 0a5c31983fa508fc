import { expect } from 'vitest'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { type HttpCase, post } from './httpSuite.ts'
import { sseChunks, sseData } from './sseData.ts'
import { usageEvent } from './usageEvent.ts'

const CHAT = '/v1/chat/completions'
const streamed = (fields: object = {}) => post({ messages: 'hi', stream: true, ...fields })

const callEvents: EventBody[][] = [
  [
    {
      kind: 'tool_call_delta',
      index: 0,
      call: 0,
      id: 'A'.repeat(24),
      name: 'look',
      arguments: '{"a"',
    },
  ],
  [{ kind: 'tool_call_delta', index: 0, call: 0, arguments: ':1}' }],
  [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usageEvent],
]
const progressEvents: EventBody[][] = [
  [{ kind: 'progress', queuePosition: 0, promptTokensDone: 4, promptTokens: 8 }],
  [{ kind: 'text', index: 0, text: 'a' }],
  [{ kind: 'finish', index: 0, reason: 'stop' }, usageEvent],
]

export const streamCases: HttpCase[] = [
  {
    name: 'headers of a stream',
    async run({ fetch }) {
      const { headers } = await fetch(CHAT, streamed())
      expect(headers.get('content-type')).toMatch(/^text\/event-stream/)
      expect(headers.get('cache-control')).toBe('no-cache')
      expect(headers.get('x-accel-buffering')).toBe('no')
      expect(headers.get('content-length')).toBeNull()
    },
  },
  {
    name: 'a stream has the same text as an answer in one piece',
    async run({ fetch }) {
      const whole = await fetch(CHAT, post({ messages: 'hi', n: 2 }))
      const { choices } = (await whole.json()) as { choices: { message: { content: string } }[] }
      const texts = ['', '']
      for (const chunk of sseChunks(await (await fetch(CHAT, streamed({ n: 2 }))).text())) {
        const [choice] = chunk.choices
        if (choice) texts[choice.index] = `${texts[choice.index]}${choice.delta?.content ?? ''}`
      }
      expect(texts).toEqual(choices.map(({ message }) => message.content))
    },
  },
  {
    name: 'compatibility mode: usage on the finish chunk, no chunk without choices',
    async run({ fetch }) {
      const chunks = sseChunks(await (await fetch(CHAT, streamed())).text())
      expect(chunks.every(({ choices }) => choices.length === 1)).toBe(true)
      expect(chunks.at(-1)?.usage?.total_tokens).toBeGreaterThan(1)
      expect(chunks.slice(0, -1).some(chunk => 'usage' in chunk)).toBe(false)
    },
  },
  {
    name: 'strict mode: no usage unless asked',
    scenario: { app: { strictOpenai: true } },
    async run({ fetch }) {
      const chunks = sseChunks(await (await fetch(CHAT, streamed())).text())
      expect(chunks.some(chunk => 'usage' in chunk)).toBe(false)
    },
  },
  {
    name: 'include_usage: a chunk of its own, last',
    async run({ fetch }) {
      const stream_options = { include_usage: true }
      for (const [path, prompt] of [
        [CHAT, { messages: 'hi' }],
        ['/v1/completions', { prompt: 'hi' }],
      ] as const) {
        const response = await fetch(path, post({ ...prompt, stream: true, stream_options }))
        const chunks = sseChunks(await response.text())
        const last = chunks.pop()
        expect([last?.choices, typeof last?.usage?.total_tokens]).toEqual([[], 'number'])
        expect(chunks.every(({ usage }) => usage === null)).toBe(true)
      }
    },
  },
  {
    name: 'reasoning is separate from content',
    async run({ fetch }) {
      const body = await (await fetch(CHAT, streamed({ enable_thinking: true }))).text()
      const deltas = sseChunks(body).map(({ choices }) => choices[0]?.delta ?? {})
      expect(deltas[1]).toEqual({ reasoning_content: 'Let me think.' })
      expect(deltas.slice(2).some(delta => 'reasoning_content' in delta)).toBe(false)
    },
  },
  {
    name: 'calls stream in pieces and come whole',
    scenario: { engine: { events: callEvents } },
    async run({ fetch }) {
      const tools = [{ type: 'function', function: { name: 'look' } }]
      const whole = await fetch(CHAT, post({ messages: 'hi', tools }))
      const id = `call_${'A'.repeat(24)}`
      expect(await whole.json()).toMatchObject({
        choices: [
          {
            message: {
              content: null,
              tool_calls: [
                { id, type: 'function', function: { name: 'look', arguments: '{"a":1}' } },
              ],
            },
            finish_reason: 'tool_calls',
          },
        ],
      })
      const deltas = sseChunks(await (await fetch(CHAT, streamed({ tools }))).text()).flatMap(
        ({ choices }) => choices[0]?.delta?.tool_calls ?? [],
      )
      expect(deltas).toEqual([
        { index: 0, id, type: 'function', function: { name: 'look', arguments: '' } },
        { index: 0, function: { arguments: '{"a"' } },
        { index: 0, function: { arguments: ':1}' } },
      ])
    },
  },
  {
    name: 'progress is told when asked for, and only then',
    scenario: { engine: { events: progressEvents } },
    async run({ fetch }) {
      for (const [path, prompt] of [
        [CHAT, { messages: 'hi' }],
        ['/v1/completions', { prompt: 'hi' }],
      ] as const) {
        const body = { ...prompt, stream: true, return_progress: true }
        const chunks = sseChunks(await (await fetch(path, post(body))).text())
        const told = chunks.filter(chunk => 'prompt_progress' in chunk)
        expect(told.map(({ prompt_progress }) => prompt_progress)).toEqual([
          { total: 8, cache: 0, processed: 4, queue_position: 0 },
        ])
        expect(chunks.every(({ choices }) => choices.length === 1)).toBe(true)
      }
    },
  },
  {
    name: 'stop strings do not leak',
    scenario: { engine: { reply: () => 'one two three four' } },
    async run({ fetch }) {
      const body = await (await fetch(CHAT, streamed({ stop: ['three'] }))).text()
      const text = sseChunks(body).map(({ choices }) => choices[0]?.delta?.content ?? '')
      expect(text.join('')).toBe('one two ')
    },
  },
  {
    name: 'completions stream',
    async run({ fetch }) {
      const response = await fetch(
        '/v1/completions',
        post({ prompt: 'hi', stream: true, echo: true }),
      )
      const chunks = sseChunks(await response.text())
      expect(chunks[0]).toMatchObject({ object: 'text_completion', choices: [{ text: 'hi' }] })
      expect(chunks.at(-1)?.choices[0]).toMatchObject({ text: '', finish_reason: 'stop' })
    },
  },
  {
    name: 'a failure during a stream is an event, then [DONE]',
    scenario: {
      engine: { failAfterSteps: { steps: 2, error: { kind: 'internal', message: 'device lost' } } },
    },
    async run({ fetch, log }) {
      for (const [path, init] of [
        [CHAT, streamed()],
        ['/v1/completions', post({ prompt: 'hi', stream: true })],
      ] as const) {
        const response = await fetch(path, init)
        expect(response.status).toBe(200)
        const data = sseData(await response.text())
        expect(data.pop()).toBe('[DONE]')
        expect(JSON.parse(data.at(-1) ?? '')).toEqual({
          error: { message: 'device lost', type: 'server_error', param: null, code: null },
        })
        expect(log.at(-1)).toMatchObject({ event: 'request_completed', end: 'error' })
      }
    },
  },
  {
    name: 'headers come at once, before the first token',
    // None ever comes.
    scenario: { engine: { maxRunning: 0, maxWaiting: 1 }, app: { keepAliveMs: 50 } },
    async run({ fetch }) {
      const { status, body } = await fetch(CHAT, streamed())
      expect(status).toBe(200)
      const reader = (body as ReadableStream<Uint8Array>).getReader()
      expect(new TextDecoder().decode((await reader.read()).value)).toMatch(/^:\n\n/)
      await reader.cancel()
    },
  },
  {
    name: 'a finished stream is logged with its counts',
    async run({ fetch, log }) {
      await (await fetch(CHAT, streamed({ max_tokens: 3 }))).text()
      expect(log.at(-1)).toMatchObject({ end: 'completed', status: 200, completionTokens: 3 })
    },
  },
]
