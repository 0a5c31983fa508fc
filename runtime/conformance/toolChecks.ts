import { z } from 'zod'
import type { Api } from './api.ts'
import { parseJson } from './api.ts'
import { CHAT, chat, chatStream, hello } from './chatShapes.ts'
import { type Check, fits, must } from './check.ts'
import { NotHere } from './outcome.ts'

/** Short to write, so that a model without talent finishes too. */
export const weatherParameters = {
  type: 'object',
  properties: {
    city: { type: 'string', enum: ['Rome', 'Oslo'] },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
  },
  required: ['city', 'unit'],
  additionalProperties: false,
}
export const weatherShape = z.strictObject({
  city: z.enum(['Rome', 'Oslo']),
  unit: z.enum(['celsius', 'fahrenheit']),
})
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: weatherParameters,
    strict: true,
  },
}
const asking = {
  messages: [{ role: 'user', content: 'What is the weather in Rome?' }],
  tools: [weather],
  max_tokens: 200,
}

/** A call the server was made to make. */
async function forcedCall(api: Api, fields: object = {}) {
  const { choices } = await chat(api, { ...asking, tool_choice: 'required', ...fields }, true)
  const [choice] = choices
  if (choice?.finish_reason === 'length') throw new NotHere('the model ran into its limit')
  const [call] = choice?.message.tool_calls ?? []
  must(call, "tool_choice 'required' and no call")
  return { choice, call }
}

export const toolChecks: Check[] = [
  {
    name: 'a required call, its arguments of the schema',
    section: '5.3',
    async run(api) {
      const { choice, call } = await forcedCall(api)
      must(choice?.finish_reason === 'tool_calls', `finish_reason is ${choice?.finish_reason}`)
      must(call.function.name === 'get_weather', `the call is of ${call.function.name}`)
      fits(weatherShape, parseJson(call.function.arguments, 'the arguments'), 'arguments')
    },
  },
  {
    name: 'a call by name',
    section: '5.1',
    async run(api) {
      const tool_choice = { type: 'function', function: { name: 'get_weather' } }
      await forcedCall(api, { tool_choice })
    },
  },
  {
    name: 'in a stream id, type and name come once, and arguments in pieces',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api, { ...asking, tool_choice: 'required' }, true)
      const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
      must(pieces.length > 0, 'no call')
      const [first, ...rest] = pieces.filter(({ index }) => index === 0)
      must(
        first?.id && first.type && first.function.name,
        'the first piece has no id, type or name',
      )
      must(
        rest.every(({ id, function: { name } }) => id === undefined && !name),
        'id or name come again in a later piece',
      )
      const text = [first, ...rest].map(piece => piece.function.arguments ?? '').join('')
      fits(weatherShape, parseJson(text, 'the arguments'), 'arguments')
    },
  },
  {
    name: 'a result is taken back',
    section: '5.2',
    async run(api) {
      const { choice, call } = await forcedCall(api)
      const result = { role: 'tool', tool_call_id: call.id, content: '21 °C' }
      const messages = [...asking.messages, choice?.message, result]
      await chat(api, { ...asking, messages, tool_choice: 'none', max_tokens: 12 })
    },
  },
  {
    name: 'none means no calls',
    section: '5.1',
    async run(api) {
      const fields = { ...asking, tool_choice: 'none', max_tokens: 12 }
      const { choices } = await chat(api, fields, true)
      must(choices[0]?.message.tool_calls === undefined, 'there is a call')
    },
  },
  {
    name: 'a choice that no tool has is refused',
    section: '5.1',
    async run(api) {
      await forcedCall(api)
      const tool_choice = { type: 'function', function: { name: 'nobody' } }
      const { status } = await api.post(CHAT, { ...hello, ...asking, tool_choice })
      must(status === 400, `answered ${status}`)
    },
  },
]
