import { parseJson } from './api.ts'
import { CHAT, type Completion, chat, chatStream, contentOf, hello } from './chatShapes.ts'
import { type Check, fits, must } from './check.ts'
import { NotHere } from './outcome.ts'
import { weatherParameters, weatherShape } from './toolChecks.ts'

const response_format = {
  type: 'json_schema',
  json_schema: { name: 'weather', schema: weatherParameters, strict: true },
}

function finished({ choices }: Completion): string {
  const [choice] = choices
  if (choice?.finish_reason === 'length') throw new NotHere('the model ran into its limit')
  return choice?.message.content ?? ''
}

export const structuredChecks: Check[] = [
  {
    name: 'an output is of its JSON schema',
    section: '5.1',
    async run(api) {
      const text = finished(await chat(api, { response_format, max_tokens: 200 }, true))
      fits(weatherShape, parseJson(text, 'the output'), 'output')
    },
  },
  {
    name: 'an output is of its JSON schema when streamed',
    section: '5.1',
    async run(api) {
      const { chunks } = await chatStream(api, { response_format, max_tokens: 200 }, true)
      const isCut = chunks.some(({ choices }) => choices[0]?.finish_reason === 'length')
      if (isCut) throw new NotHere('the model ran into its limit')
      fits(weatherShape, parseJson(contentOf(chunks), 'the output'), 'output')
    },
  },
  {
    name: 'a json_object is an object',
    section: '5.1',
    async run(api) {
      const fields = { response_format: { type: 'json_object' }, max_tokens: 400 }
      const text = finished(await chat(api, fields, true))
      must(/^\s*\{/.test(text), `the output begins ${JSON.stringify(text.slice(0, 20))}`)
      parseJson(text, 'the output')
    },
  },
  {
    name: 'a schema that is none is refused',
    section: '3',
    async run(api) {
      const format = { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'colour' } } }
      const { status } = await api.post(CHAT, { ...hello, response_format: format })
      must(status === 400, `answered ${status}`)
    },
  },
]
