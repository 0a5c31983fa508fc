import { z } from 'zod'
import { type Api, parseJson } from './api.ts'
import { type Check, fits, must, mustBeHere, mustSucceed } from './check.ts'
import { NotHere } from './outcome.ts'
import { weatherParameters, weatherShape } from './toolChecks.ts'

const PATH = '/v1/responses'
const request = { input: 'Count from one to five.', max_output_tokens: 12, temperature: 0 }

/** Pydantic's models in the Python client need every one of these keys. */
const responseShape = z.object({
  id: z.string().startsWith('resp_'),
  object: z.literal('response'),
  created_at: z.number(),
  status: z.enum(['completed', 'incomplete', 'in_progress', 'queued', 'cancelled', 'failed']),
  error: z.unknown().refine(value => value !== undefined, 'missing'),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  instructions: z.unknown().refine(value => value !== undefined, 'missing'),
  metadata: z.record(z.string(), z.string()).nullable(),
  model: z.string(),
  output: z.array(z.looseObject({ type: z.string(), id: z.string() })),
  parallel_tool_calls: z.boolean(),
  temperature: z.number().nullable(),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]),
  tools: z.array(z.unknown()),
  top_p: z.number().nullable(),
  usage: z
    .object({
      input_tokens: z.int(),
      input_tokens_details: z.object({ cached_tokens: z.int() }),
      output_tokens: z.int(),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
    })
    .nullish(),
})
const eventShape = z.looseObject({ type: z.string(), sequence_number: z.int() })

async function respond(api: Api, fields: object = {}) {
  const answer = await api.post(PATH, { ...request, ...fields })
  mustSucceed(answer, PATH)
  return fits(responseShape, parseJson(answer.text, 'the answer'), 'response')
}

async function respondStream(api: Api, fields: object = {}) {
  const { events, ...answer } = await api.stream(PATH, { ...request, ...fields })
  mustBeHere(answer, 'a stream of responses')
  return events
    .filter(({ data }) => data !== '[DONE]')
    .map(({ name, data }) => {
      const event = fits(eventShape, parseJson(data, 'an event'), 'event')
      must(name === event.type, `event ${JSON.stringify(name)} has data of ${event.type}`)
      return event
    })
}

/** Made with `store`, or it cannot be fetched. */
async function stored(api: Api, fields: object = {}) {
  const response = await respond(api, { ...fields, store: true })
  const { status } = await api.send('GET', `${PATH}/${response.id}`)
  if (status === 404) throw new NotHere('responses are not stored')
  must(status === 200, `GET ${PATH}/${response.id} answered ${status}`)
  return response
}

export const responsesChecks: Check[] = [
  {
    name: 'a response has every key clients read',
    section: '8.2',
    async run(api) {
      const { usage, status, incomplete_details } = await respond(api)
      must(usage, 'there is no usage')
      if (usage.output_tokens < request.max_output_tokens) return
      const reason = incomplete_details?.reason
      const isTold = status === 'incomplete' && reason === 'max_output_tokens'
      must(isTold, `cut off by max_output_tokens, and the status is ${status} (${reason})`)
    },
  },
  {
    name: 'events are numbered from 0 without gaps, from created to the end',
    section: '9',
    async run(api) {
      const events = await respondStream(api)
      const gap = events.findIndex(({ sequence_number }, i) => sequence_number !== i)
      must(gap < 0, `event ${gap} has number ${events[gap]?.sequence_number}`)
      const types = events.map(({ type }) => type)
      must(types[0] === 'response.created', `the first event is ${types[0]}`)
      must(types[1] === 'response.in_progress', `the second event is ${types[1]}`)
      const last = types.at(-1) ?? ''
      must(/^response\.(completed|incomplete)$/.test(last), `the last event is ${last}`)
    },
  },
  {
    name: 'every item is opened, told of by its id, and closed',
    section: '9',
    async run(api) {
      const events = await respondStream(api)
      const openIds = new Set<unknown>()
      let numItems = 0
      for (const { type, output_index, item, item_id } of events) {
        if (type === 'response.output_item.added') {
          must(output_index === numItems++, `output_index ${output_index} leaves a hole`)
          openIds.add((item as { id?: unknown } | undefined)?.id)
        } else if (type === 'response.output_item.done') {
          const { id } = item as { id: unknown }
          must(openIds.delete(id), `item ${id} is closed and was not opened`)
        } else if (/\.(delta|done)$|content_part/.test(type)) {
          must(openIds.has(item_id), `${type} is of item ${item_id}, which is not open`)
        }
      }
      must(openIds.size === 0, 'an item is never closed')
    },
  },
  {
    name: 'output_text.done and the end hold the text of the deltas',
    section: '9',
    async run(api) {
      const events = await respondStream(api)
      const text = events
        .map(({ type, delta }) => (type === 'response.output_text.delta' ? delta : ''))
        .join('')
      const done = events.filter(({ type }) => type === 'response.output_text.done')
      if (text !== '') must(done.length > 0, 'there is no response.output_text.done')
      const whole = done.map(event => event.text).join('')
      must(whole === text, `${JSON.stringify(whole)} instead of ${JSON.stringify(text)}`)
      const final = fits(responseShape, events.at(-1)?.response, 'the response at the end')
      must(JSON.stringify(final.output).includes(JSON.stringify(text)), 'the end has another text')
    },
  },
  {
    name: 'a forced call, its arguments of the schema',
    section: '9',
    async run(api) {
      const events = await respondStream(api, {
        tools: [
          { type: 'function', name: 'get_weather', parameters: weatherParameters, strict: true },
        ],
        tool_choice: 'required',
        max_output_tokens: 200,
      })
      if (events.at(-1)?.type === 'response.incomplete') {
        throw new NotHere('the model ran into its limit')
      }
      const done = events.find(({ type }) => type === 'response.function_call_arguments.done')
      must(done, "tool_choice 'required' and no call")
      fits(weatherShape, parseJson(String(done.arguments), 'the arguments'), 'arguments')
    },
  },
  {
    name: 'a stored response is fetched, listed and deleted',
    section: '8.3',
    async run(api) {
      const { id } = await stored(api)
      const items = await api.send('GET', `${PATH}/${id}/input_items`)
      must(items.status === 200, `input_items answered ${items.status}`)
      const { status } = await api.send('DELETE', `${PATH}/${id}`)
      must(status === 200, `DELETE answered ${status}`)
      const after = await api.send('GET', `${PATH}/${id}`)
      must(after.status === 404, `a deleted response answered ${after.status}`)
    },
  },
  {
    name: 'a streamed response is stored too',
    section: '8.3',
    async run(api) {
      await stored(api)
      const last = (await respondStream(api, { store: true })).at(-1)
      const { id } = fits(responseShape, last?.response, 'the response at the end')
      const { status } = await api.send('GET', `${PATH}/${id}`)
      must(status === 200, `GET answered ${status}`)
    },
  },
  {
    name: 'previous_response_id goes on from there, and is 404 for what is not there',
    section: '8.1',
    async run(api) {
      const first = await stored(api)
      const second = await respond(api, { previous_response_id: first.id })
      const [before, after] = [first, second].map(({ usage }) => usage?.input_tokens ?? 0)
      must((after ?? 0) > (before ?? 0), 'the second prompt is not longer than the first')
      const unknown = { ...request, previous_response_id: 'resp_of_nobody' }
      const { status } = await api.post(PATH, unknown)
      must(status === 404, `an unknown previous_response_id answered ${status}`)
    },
  },
  {
    name: 'store: false is kept',
    section: '8.3',
    async run(api) {
      const { id } = await respond(api, { store: false })
      const { status } = await api.send('GET', `${PATH}/${id}`)
      must(status === 404, `GET answered ${status}`)
    },
  },
  {
    name: 'a response in the background is queued and can be cancelled',
    section: '8.3',
    async run(api) {
      await stored(api)
      const { id, status } = await respond(api, { background: true })
      must(status === 'queued' || status === 'in_progress', `its status is ${status}`)
      const cancelled = await api.send('POST', `${PATH}/${id}/cancel`)
      must(cancelled.status === 200, `cancel answered ${cancelled.status}`)
      fits(responseShape, parseJson(cancelled.text, 'the answer'), 'cancelled response')
    },
  },
]
