import { z } from 'zod'
import { type Api, parseJson } from './api.ts'
import { type Check, fits, must, mustBeHere, mustSucceed } from './check.ts'
import { NotHere } from './outcome.ts'
import { weatherParameters, weatherShape } from './toolChecks.ts'

const PATH = '/v1/messages'
const request = {
  max_tokens: 12,
  temperature: 0,
  messages: [{ role: 'user', content: 'Count from one to five.' }],
}
const version = { 'anthropic-version': '2023-06-01' }

const messageShape = z.object({
  id: z.string().min(1),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('text'), text: z.string() }),
      z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().min(1) }),
      z.object({
        type: z.literal('tool_use'),
        id: z.string(),
        name: z.string(),
        input: z.looseObject({}),
      }),
    ]),
  ),
  stop_reason: z.string(),
  stop_sequence: z.string().nullable(),
  usage: z.looseObject({ input_tokens: z.int(), output_tokens: z.int() }),
})

async function ask(api: Api, fields: object = {}, optional = false) {
  const answer = await api.post(PATH, { ...request, ...fields }, version)
  const expectHere = optional ? mustBeHere : mustSucceed
  expectHere(answer, PATH)
  return fits(messageShape, parseJson(answer.text, 'the answer'), 'message')
}

export const anthropicChecks: Check[] = [
  {
    name: 'a message has the shape clients read',
    section: '10',
    async run(api) {
      const { stop_reason, usage } = await ask(api)
      const reasons = ['end_turn', 'max_tokens']
      must(reasons.includes(stop_reason), `stop_reason is ${stop_reason}`)
      must(usage.output_tokens > 0, 'no output tokens are counted')
    },
  },
  {
    name: 'events come in order, each with its name',
    section: '10',
    async run(api) {
      const { events, ...answer } = await api.stream(PATH, request)
      mustSucceed(answer, 'a stream of messages')
      const types = events.map(({ name, data }) => {
        const { type } = fits(z.object({ type: z.string() }), parseJson(data, 'event'), 'event')
        must(name === type, `event ${JSON.stringify(name)} has data of ${type}`)
        return type
      })
      const letters: Record<string, string> = {
        message_start: 'M',
        content_block_start: 'b',
        content_block_delta: 'd',
        content_block_stop: 'e',
        message_delta: 'U',
        message_stop: 'X',
        ping: '',
      }
      const order = types.map(type => letters[type] ?? '?').join('')
      must(/^M(bd*e)*UX$/.test(order), `the order is ${types.join(', ')}`)
    },
  },
  {
    name: 'a stream says the same, and counts the prompt at its start',
    section: '10',
    async run(api) {
      const whole = await ask(api)
      const { events } = await api.stream(PATH, request)
      const parsed = events.map(({ data }) => JSON.parse(data))
      const text = parsed.map(({ delta }) => delta?.text ?? '').join('')
      const expected = whole.content
        .map(block => (block.type === 'text' ? block.text : ''))
        .join('')
      must(text === expected, `${JSON.stringify(text)} instead of ${JSON.stringify(expected)}`)
      const usage = parsed[0]?.message?.usage ?? {}
      const total = (usage.input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0)
      must(total > 0, 'message_start counts no input tokens')
    },
  },
  {
    name: 'a matched stop sequence is told',
    section: '10',
    async run(api) {
      const whole = await ask(api)
      const text = whole.content.map(block => (block.type === 'text' ? block.text : '')).join('')
      const stop = text
        .slice(Math.floor(text.length / 2))
        .trim()
        .slice(0, 3)
      if (stop === '') throw new NotHere('the model says nothing')
      const { stop_reason, stop_sequence } = await ask(api, { stop_sequences: [stop] })
      const told = JSON.stringify([stop_reason, stop_sequence])
      must(told === JSON.stringify(['stop_sequence', stop]), `told is ${told}`)
    },
  },
  {
    name: 'any tool must be used, its input of the schema',
    section: '10',
    async run(api) {
      const tools = [{ name: 'get_weather', input_schema: weatherParameters, strict: true }]
      const fields = { tools, tool_choice: { type: 'any' }, max_tokens: 200 }
      const { content, stop_reason } = await ask(api, fields, true)
      if (stop_reason === 'max_tokens') throw new NotHere('the model ran into its limit')
      const use = content.find(({ type }) => type === 'tool_use')
      must(use?.type === 'tool_use', "tool_choice 'any' and no tool_use")
      must(stop_reason === 'tool_use', `stop_reason is ${stop_reason}`)
      fits(weatherShape, use.input, 'input')
    },
  },
  {
    name: 'blocks with cache_control, metadata and fields of betas are taken',
    section: '20',
    async run(api) {
      await ask(api)
      const cache_control = { type: 'ephemeral' }
      const body = {
        ...request,
        system: [{ type: 'text', text: 'Be brief.', cache_control }],
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi', cache_control }] }],
        metadata: { user_id: 'u' },
        context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] },
      }
      const beta = { ...version, 'anthropic-beta': 'context-management-2025-06-27,other-1' }
      const answer = await api.post(`${PATH}?beta=true`, body, beta)
      must(answer.status === 200, `answered ${answer.status}: ${answer.text.slice(0, 160)}`)
    },
  },
  {
    name: 'tokens are counted as they are used',
    section: '10',
    async run(api) {
      const { usage } = await ask(api)
      const { messages } = request
      const answer = await api.post(`${PATH}/count_tokens`, { messages }, version)
      mustSucceed(answer, 'count_tokens')
      const shape = z.object({ input_tokens: z.int() })
      const { input_tokens } = fits(shape, parseJson(answer.text, 'the count'), 'count')
      const used = usage.input_tokens + Number(usage.cache_read_input_tokens ?? 0)
      must(input_tokens === used, `counted ${input_tokens}, used ${used}`)
    },
  },
  {
    name: 'failures have the shape of Anthropic',
    section: '3',
    async run(api) {
      await ask(api)
      const shape = z.object({
        type: z.literal('error'),
        error: z.object({ type: z.string(), message: z.string() }),
      })
      for (const [fields, status, type] of [
        [{ messages: 5 }, 400, 'invalid_request_error'],
        [{ model: 'claude-of-nobody' }, 404, 'not_found_error'],
      ] as const) {
        const answer = await api.post(PATH, { ...request, ...fields }, version)
        must(answer.status === status, `answered ${answer.status} instead of ${status}`)
        const { error } = fits(shape, parseJson(answer.text, 'the error'), 'error')
        must(error.type === type, `the type is ${error.type} instead of ${type}`)
      }
    },
  },
]
