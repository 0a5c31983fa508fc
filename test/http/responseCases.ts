import { expect } from 'vitest'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { eventually, type HttpCase, post } from './httpSuite.ts'
import { type ResponseEvent, responseEvents } from './responseEvents.ts'
import { usageEvent } from './usageEvent.ts'

const RESPONSES = '/v1/responses'
const hi = { input: 'hi', max_output_tokens: 4 }
const slow = { engine: { stepDelayMs: 20 } }
const endless = { input: 'hi', ignore_eos: true, max_output_tokens: 3000 }

const id = 'abcdefghijklmnopqrstuvwx'
/** A run with an item of every kind. */
const everything: EventBody[][] = [
  [{ kind: 'reasoning', index: 0, text: 'Let me ' }],
  [
    { kind: 'reasoning', index: 0, text: 'see.' },
    { kind: 'text', index: 0, text: 'I will ' },
  ],
  [{ kind: 'text', index: 0, text: 'look.' }],
  [
    { kind: 'tool_call_delta', index: 0, call: 0, id, name: 'files.read', arguments: '{"path"' },
    { kind: 'tool_call_delta', index: 0, call: 0, arguments: ':"a"}' },
  ],
  [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usageEvent],
]
const tools = [
  {
    type: 'namespace',
    name: 'files',
    description: 'Files.',
    tools: [{ type: 'function', name: 'read', parameters: { type: 'object' } }],
  },
]

interface Body {
  id: string
  status: string
  output: Record<string, unknown>[]
  [key: string]: unknown
}

async function json(response: Response): Promise<Body> {
  const body = (await response.json()) as Body
  if (response.status !== 200) throw new Error(`${response.status}: ${JSON.stringify(body)}`)
  return body
}

const terminal = (events: ResponseEvent[]) => events.at(-1)?.response as Body

export const responseCases: HttpCase[] = [
  {
    name: 'a response has every key, and is there to be fetched, listed, continued and deleted',
    async run({ fetch, engine }) {
      const first = await json(await fetch(RESPONSES, post({ ...hi, instructions: 'Be brief.' })))
      expect(first).toMatchObject({
        object: 'response',
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        background: false,
        completed_at: null,
        error: null,
        instructions: 'Be brief.',
        max_output_tokens: 4,
        max_tool_calls: null,
        metadata: {},
        model: 'scripted/words-1',
        parallel_tool_calls: true,
        previous_response_id: null,
        reasoning: { effort: null, summary: null },
        service_tier: 'default',
        store: true,
        temperature: null,
        text: { format: { type: 'text' } },
        tool_choice: 'auto',
        tools: [],
        top_logprobs: 0,
        top_p: null,
        truncation: 'disabled',
        user: null,
        usage: { output_tokens: 4, output_tokens_details: { reasoning_tokens: 0 } },
      })
      expect(first.id).toMatch(/^resp_\w{24}$/)
      expect(first.output).toMatchObject([
        {
          type: 'message',
          role: 'assistant',
          status: 'incomplete',
          content: [{ annotations: [] }],
        },
      ])
      expect(await json(await fetch(`${RESPONSES}/${first.id}`))).toEqual(first)
      expect(await json(await fetch(`${RESPONSES}/${first.id}/input_items`))).toMatchObject({
        object: 'list',
        data: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
        has_more: false,
      })
      const more = { ...hi, input: 'more', previous_response_id: first.id }
      const second = await json(await fetch(RESPONSES, post(more)))
      expect(second.previous_response_id).toBe(first.id)
      const [{ content }] = first.output as [{ content: [{ text: string }] }]
      expect(engine.jobs.at(-1)?.prompt).toMatchObject({
        messages: [
          { role: 'user', content: 'hi' },
          { role: 'assistant', content: content[0].text },
          { role: 'user', content: 'more' },
        ],
      })
      const gone = await json(await fetch(`${RESPONSES}/${first.id}`, { method: 'DELETE' }))
      expect(gone).toEqual({ id: first.id, object: 'response.deleted', deleted: true })
      expect((await fetch(`${RESPONSES}/${first.id}`)).status).toBe(404)
      const orphan = await fetch(RESPONSES, post({ ...hi, previous_response_id: second.id }))
      expect(orphan.status).toBe(404)
      expect(await orphan.json()).toMatchObject({
        error: { code: 'previous_response_not_found', param: 'previous_response_id' },
      })
    },
  },
  {
    name: 'a stream tells of each item in the order it is generated, and is kept',
    scenario: { engine: { events: everything } },
    async run({ fetch }) {
      const response = await fetch(RESPONSES, post({ ...hi, tools, stream: true }))
      const { events, done } = responseEvents(await response.text())
      expect(done).toBe(true)
      expect(events.map(({ type }) => type)).toEqual([
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.content_part.added',
        'response.reasoning_text.delta',
        'response.reasoning_text.delta',
        'response.reasoning_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.output_item.added',
        'response.content_part.added',
        'response.output_text.delta',
        'response.output_text.delta',
        'response.output_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.output_item.added',
        'response.function_call_arguments.delta',
        'response.function_call_arguments.delta',
        'response.function_call_arguments.done',
        'response.output_item.done',
        'response.completed',
      ])
      const last = terminal(events)
      expect(last.output).toMatchObject([
        { type: 'reasoning', summary: [], content: [{ text: 'Let me see.' }] },
        { type: 'message', status: 'completed', content: [{ text: 'I will look.' }] },
        { type: 'function_call', call_id: `call_${id}`, name: 'read', namespace: 'files' },
      ])
      expect(await json(await fetch(`${RESPONSES}/${last.id}`))).toEqual(last)
    },
  },
  {
    name: 'a stored stream is read again, whole or from any event on, byte for byte',
    scenario: { engine: { events: everything } },
    async run({ fetch }) {
      const text = await (await fetch(RESPONSES, post({ ...hi, tools, stream: true }))).text()
      const { events } = responseEvents(text)
      const url = `${RESPONSES}/${terminal(events).id}?stream=true`
      expect(await (await fetch(url)).text()).toBe(text)
      for (const after of [0, 7, events.length - 2]) {
        const rest = await (await fetch(`${url}&starting_after=${after}`)).text()
        expect(responseEvents(rest, after + 1).events).toEqual(events.slice(after + 1))
      }
      expect((await fetch(`${url}&starting_after=x`)).status).toBe(400)
    },
  },
  {
    name: 'a response in the background is polled to its end',
    scenario: { engine: { stepDelayMs: 5 } },
    async run({ fetch }) {
      const begun = await json(await fetch(RESPONSES, post({ ...hi, background: true })))
      expect(begun).toMatchObject({ status: 'queued', background: true, output: [] })
      const seen = new Set<string>()
      let now = begun
      for (let i = 0; i < 1000 && now.status !== 'incomplete'; i++) {
        await new Promise(resolve => setTimeout(resolve, 5))
        now = await json(await fetch(`${RESPONSES}/${begun.id}`))
        seen.add(now.status)
      }
      expect(now).toMatchObject({ status: 'incomplete', usage: { output_tokens: 4 } })
      expect([...seen].filter(s => !['queued', 'in_progress', 'incomplete'].includes(s))).toEqual(
        [],
      )
    },
  },
  {
    name: 'a response in the background outlives its stream, which is taken up elsewhere',
    scenario: { engine: { stepDelayMs: 10 } },
    async run({ fetch, engine }) {
      const request = { ...hi, max_output_tokens: 30, ignore_eos: true, background: true }
      const response = await fetch(RESPONSES, post({ ...request, stream: true }))
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      let text = ''
      while (!text.includes('output_text.delta')) {
        text += new TextDecoder().decode((await reader.read()).value)
      }
      await reader.cancel()
      const id = /"id":"(resp_\w+)"/.exec(text)?.[1]
      const whole = await (await fetch(`${RESPONSES}/${id}?stream=true`)).text()
      expect(whole.startsWith(text)).toBe(true)
      const { events } = responseEvents(whole)
      expect(events.map(({ type }) => type).slice(0, 3)).toEqual([
        'response.created',
        'response.queued',
        'response.in_progress',
      ])
      expect(terminal(events)).toMatchObject({ status: 'incomplete' })
      expect(engine.numAborted).toBe(0)
    },
  },
  {
    name: 'cancelling ends a run in the background at once, again and again',
    scenario: slow,
    async run({ fetch, engine }) {
      const { id } = await json(await fetch(RESPONSES, post({ ...endless, background: true })))
      await eventually(() => engine.numActive === 1)
      const cancelled = await json(await fetch(`${RESPONSES}/${id}/cancel`, { method: 'POST' }))
      expect(cancelled).toMatchObject({ id, status: 'cancelled', error: null })
      await eventually(() => engine.numActive === 0)
      expect(await json(await fetch(`${RESPONSES}/${id}/cancel`, { method: 'POST' }))).toEqual(
        cancelled,
      )
      const foreground = await json(await fetch(RESPONSES, post(hi)))
      const refused = await fetch(`${RESPONSES}/${foreground.id}/cancel`, { method: 'POST' })
      expect(refused.status).toBe(400)
      expect((await fetch(`${RESPONSES}/resp_none/cancel`, { method: 'POST' })).status).toBe(404)
    },
  },
  {
    name: 'deleting ends a run too',
    scenario: slow,
    async run({ fetch, engine }) {
      const { id } = await json(await fetch(RESPONSES, post({ ...endless, background: true })))
      await fetch(`${RESPONSES}/${id}`, { method: 'DELETE' })
      await eventually(() => engine.numActive === 0)
      expect((await fetch(`${RESPONSES}/${id}`)).status).toBe(404)
    },
  },
  {
    name: 'a stream in the foreground ends with its client, and what was sent is kept',
    scenario: slow,
    async run({ fetch, engine, log }) {
      const response = await fetch(RESPONSES, post({ ...endless, stream: true }))
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      let text = ''
      while (!text.includes('output_text.delta')) {
        text += new TextDecoder().decode((await reader.read()).value)
      }
      await reader.cancel()
      await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
      await eventually(() => log.some(e => 'end' in e && e.end === 'client_disconnected'))
      const id = /"id":"(resp_\w+)"/.exec(text)?.[1]
      const now = await json(await fetch(`${RESPONSES}/${id}`))
      expect(now).toMatchObject({ status: 'cancelled', output: [{ status: 'incomplete' }] })
      expect((await (await fetch(`${RESPONSES}/${id}?stream=true`)).text()).startsWith(text)).toBe(
        true,
      )
    },
  },
  {
    name: 'what is not stored is not there, and is no job of its own',
    async run({ fetch, engine }) {
      for (const stream of [false, true]) {
        const response = await fetch(RESPONSES, post({ ...hi, store: false, stream }))
        const text = await response.text()
        expect(response.status).toBe(200)
        const id = /"id":"(resp_\w+)"/.exec(text)?.[1]
        expect(id).toBeDefined()
        expect((await fetch(`${RESPONSES}/${id}`)).status).toBe(404)
      }
      expect(engine.jobs.map(({ detach }) => detach)).toEqual([undefined, undefined])
    },
  },
  {
    name: 'no [DONE] where OpenAI sends none',
    scenario: { app: { strictOpenai: true } },
    async run({ fetch }) {
      const text = await (await fetch(RESPONSES, post({ ...hi, stream: true }))).text()
      expect(responseEvents(text).done).toBe(false)
    },
  },
  {
    name: 'a failure on the way is response.failed in a stream, and a status elsewhere',
    scenario: {
      engine: { failAfterSteps: { steps: 2, error: { kind: 'internal', message: 'device lost' } } },
    },
    async run({ fetch }) {
      const text = await (await fetch(RESPONSES, post({ ...hi, stream: true }))).text()
      const { events } = responseEvents(text)
      expect(events.at(-1)?.type).toBe('response.failed')
      const failed = terminal(events)
      expect(failed).toMatchObject({
        status: 'failed',
        error: { code: 'server_error', message: 'device lost', type: 'server_error' },
        output: [{ type: 'message', status: 'incomplete' }],
      })
      expect(await json(await fetch(`${RESPONSES}/${failed.id}`))).toEqual(failed)
      const response = await fetch(RESPONSES, post(hi))
      expect(response.status).toBe(500)
      expect(await response.json()).toMatchObject({ error: { code: 'internal_error' } })
    },
  },
  ...[
    ['input', {}, 'missing_required_parameter'],
    ['conversation', { ...hi, conversation: 'conv_1' }, 'unsupported_value'],
    ['prompt', { ...hi, prompt: { id: 'pmpt_1' } }, 'unsupported_value'],
    ['store', { ...hi, background: true, store: false }, 'invalid_value'],
    ['temperature', { ...hi, temperature: 3 }, 'invalid_value'],
    ['max_output_tokens', { ...hi, max_output_tokens: 0 }, 'invalid_value'],
    ['n', { ...hi, n: 2 }, 'unsupported_value'],
    ['text.format', { ...hi, text: { format: { type: 'xml' } } }, 'invalid_value'],
    ['input[0].content', { input: [{ role: 'user' }] }, 'missing_required_parameter'],
    ['input[1].call_id', { input: [...fileRead(), { type: 'function_call', name: 'f' }] }, null],
    ['input[0].id', { input: [{ type: 'item_reference', id: 'msg_x' }] }, 'invalid_value'],
    ['tools[0].name', { ...hi, tools: [{ type: 'function' }] }, 'missing_required_parameter'],
    ['tool_choice', { ...hi, tool_choice: 'required' }, 'invalid_value'],
  ].map(
    ([param, body, code]): HttpCase => ({
      name: `400 names ${param}`,
      async run({ fetch }) {
        for (const stream of [false, true]) {
          const response = await fetch(RESPONSES, post({ ...(body as object), stream }))
          expect(response.status).toBe(400)
          const { error } = (await response.json()) as { error: Record<string, unknown> }
          expect(error).toMatchObject({
            param: param === 'text.format' ? 'text.format.type' : param,
            type: 'invalid_request_error',
            ...(code !== null && { code }),
          })
        }
      },
    }),
  ),
  {
    name: 'an unknown model, a long input and a full queue have their own statuses',
    async run({ fetch }) {
      for (const [body, status, code, param] of [
        [{ ...hi, model: 'gpt-9' }, 404, 'model_not_found', 'model'],
        [{ ...hi, max_output_tokens: 5000 }, 400, 'context_length_exceeded', 'input'],
      ] as const) {
        const response = await fetch(RESPONSES, post({ ...body, stream: true }))
        expect(response.status).toBe(status)
        expect(await response.json()).toMatchObject({ error: { code, param } })
      }
    },
  },
  {
    name: 'input tokens are counted as they would be in a run',
    async run({ fetch }) {
      const response = await fetch('/v1/responses/input_tokens', post({ input: 'of the' }))
      const { object, input_tokens } = await json(response)
      expect(object).toBe('response.input_tokens')
      const { usage } = await json(await fetch(RESPONSES, post({ input: 'of the' })))
      expect(usage).toMatchObject({ input_tokens })
    },
  },
  {
    name: 'a key sees its own responses only',
    scenario: { app: { auth: { apiKeys: ['mine', 'yours'] } }, engine: { stepDelayMs: 10 } },
    async run({ fetch }) {
      const as = (key: string) => ({ 'x-api-key': key, 'content-type': 'application/json' })
      const request = post({ ...endless, background: true }, { headers: as('mine') })
      const { id } = await json(await fetch(RESPONSES, request))
      const theirs = { headers: as('yours') }
      for (const [path, init] of [
        ['', {}],
        ['?stream=true', {}],
        ['/input_items', {}],
        ['', { method: 'DELETE' }],
        ['/cancel', { method: 'POST' }],
      ] as const) {
        const response = await fetch(`${RESPONSES}/${id}${path}`, { ...theirs, ...init })
        expect([path, response.status]).toEqual([path, 404])
      }
      const stolen = post({ ...hi, previous_response_id: id }, theirs)
      expect((await fetch(RESPONSES, stolen)).status).toBe(404)
      const own = { method: 'POST', headers: as('mine') }
      const cancelled = await json(await fetch(`${RESPONSES}/${id}/cancel`, own))
      expect(cancelled.status).toBe('cancelled')
    },
  },
  {
    name: 'input items come in pages',
    async run({ fetch }) {
      const input = ['a', 'b', 'c'].map(content => ({ role: 'user', content }))
      const { id } = await json(await fetch(RESPONSES, post({ ...hi, input })))
      const page = async (query: string) => {
        const url = `${RESPONSES}/${id}/input_items?${query}`
        return (await json(await fetch(url))) as unknown as {
          data: { content: [{ text: string }] }[]
          last_id: string
          has_more: boolean
        }
      }
      const textsOf = ({ data }: Awaited<ReturnType<typeof page>>) =>
        data.map(({ content: [{ text }] }) => text).join('')
      const first = await page('limit=2&order=asc')
      expect([textsOf(first), first.has_more]).toEqual(['ab', true])
      const second = await page(`limit=2&order=asc&after=${first.last_id}`)
      expect([textsOf(second), second.has_more]).toEqual(['c', false])
      expect(textsOf(await page(''))).toBe('cba')
      expect((await fetch(`${RESPONSES}/${id}/input_items?limit=0`)).status).toBe(400)
    },
  },
]

function fileRead() {
  return [{ type: 'function_call', call_id: 'c', name: 'read', arguments: '{}' }]
}
