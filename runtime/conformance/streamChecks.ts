import { chat, chatStream, contentOf } from './chatShapes.ts'
import { type Check, must } from './check.ts'

export const streamChecks: Check[] = [
  {
    name: 'the headers are those of an event stream that nobody buffers',
    section: '4',
    async run(api) {
      const { headers } = await chatStream(api)
      const type = headers.get('content-type') ?? ''
      must(type.startsWith('text/event-stream'), `content-type is ${type}`)
      must(/no-cache|no-store/.test(headers.get('cache-control') ?? ''), 'cache-control is missing')
      must(headers.get('content-length') === null, 'a content-length was sent')
    },
  },
  {
    name: 'the role comes first and once, the finish reason alone at the end',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api)
      const choices = chunks.flatMap(chunk => chunk.choices)
      must(choices[0]?.delta.role === 'assistant', 'the first delta has no role')
      const numRoles = choices.filter(({ delta }) => delta.role !== undefined).length
      must(numRoles === 1, `${numRoles} deltas have a role`)
      const last = choices.at(-1)
      must(last?.finish_reason, 'the last choice has no finish_reason')
      must(!last.delta.content, 'the finish reason shares its chunk with text')
      const numEnds = choices.filter(choice => choice.finish_reason).length
      must(numEnds === 1, `${numEnds} chunks have a finish_reason`)
    },
  },
  {
    name: 'all chunks share id, created and model',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api)
      const heads = new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`))
      must(heads.size === 1, [...heads].join('; '))
    },
  },
  {
    name: 'no chunk is without choices unless usage was asked for',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api)
      must(
        chunks.every(({ choices }) => choices.length > 0),
        'a chunk has no choices: loops over choices[0] break',
      )
    },
  },
  {
    name: 'a stream says what the answer in one piece says',
    section: '6',
    async run(api) {
      const { choices } = await chat(api)
      const text = contentOf((await chatStream(api)).chunks)
      const whole = choices[0]?.message.content ?? ''
      must(text === whole, `${JSON.stringify(text)} instead of ${JSON.stringify(whole)}`)
    },
  },
  {
    name: 'include_usage: a last chunk without choices, and null before',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api, { stream_options: { include_usage: true } })
      const last = chunks.at(-1)
      must(last?.choices.length === 0 && last.usage, 'the last chunk is not usage alone')
      const isNull = chunks.slice(0, -1).every(({ usage }) => usage === null)
      must(isNull, 'an earlier chunk has no usage: null')
    },
  },
  {
    name: 'n choices each have their role and their end',
    section: '6',
    async run(api) {
      const { chunks } = await chatStream(api, { n: 2 }, true)
      for (const index of [0, 1]) {
        const own = chunks.flatMap(({ choices }) => choices.filter(c => c.index === index))
        must(own[0]?.delta.role === 'assistant', `choice ${index} begins without a role`)
        must(own.at(-1)?.finish_reason, `choice ${index} has no end`)
      }
    },
  },
  {
    name: 'a mistake in a request to stream is a status, not an event',
    section: '3',
    async run(api) {
      const { status } = await api.stream('/v1/chat/completions', { messages: 5 })
      must(status === 400, `answered ${status}`)
    },
  },
]
