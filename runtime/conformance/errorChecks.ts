import { z } from 'zod'
import { type Answer, type Api, parseJson } from './api.ts'
import { CHAT, hello } from './chatShapes.ts'
import { type Check, fits, must } from './check.ts'
import { NotHere } from './outcome.ts'

const shape = z.object({
  error: z.object({
    message: z.string().min(1),
    type: z.string().min(1),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
})

/** @throws NotMet unless the answer is an error of this status, in the body that clients read */
function mustRefuse(answer: Answer, status: number) {
  must(answer.status === status, `answered ${answer.status} instead of ${status}`)
  const type = answer.headers.get('content-type') ?? ''
  must(type.startsWith('application/json'), `content-type is ${type}`)
  return fits(shape, parseJson(answer.text, 'the error'), 'error').error
}

function refused(
  name: string,
  status: number,
  send: (api: Api) => Promise<Answer>,
  expected: { param?: string; code?: string } = {},
): Check {
  return {
    name,
    section: '3',
    async run(api) {
      const error = mustRefuse(await send(api), status)
      for (const key of ['param', 'code'] as const) {
        const value = expected[key]
        if (value === undefined) continue
        must(error[key] === value, `${key} is ${JSON.stringify(error[key])} instead of ${value}`)
      }
    },
  }
}

/** More tokens than most contexts hold. */
const longText = 'one two three four '.repeat(60_000)

const chat = (fields: object) => (api: Api) => api.post(CHAT, { ...hello, ...fields })

export const errorChecks: Check[] = [
  refused('invalid JSON is 400', 400, api => api.send('POST', CHAT, { body: '{"messages": [' })),
  refused('a wrong type is 400 and names the field', 400, chat({ temperature: 'hot' }), {
    param: 'temperature',
  }),
  refused('a value out of range is 400', 400, chat({ temperature: 9 }), { param: 'temperature' }),
  refused('a missing field is 400', 400, chat({ messages: undefined }), { param: 'messages' }),
  refused('no messages are 400', 400, chat({ messages: [] }), { param: 'messages' }),
  refused('no room for a token is 400', 400, chat({ max_tokens: 0 })),
  refused('an unknown model is 404', 404, chat({ model: 'no/such-model' }), {
    code: 'model_not_found',
  }),
  {
    name: 'more than the context holds is 400',
    section: '3',
    async run(api) {
      const answer = await chat({ messages: [{ role: 'user', content: longText }] })(api)
      if (answer.status === 200 || answer.status === 413) {
        throw new NotHere(`${longText.length} letters answered ${answer.status}`)
      }
      const { code, param, message } = mustRefuse(answer, 400)
      if (param === 'model') throw new NotHere(message)
      must(code === 'context_length_exceeded', `code is ${JSON.stringify(code)}`)
    },
  },
  refused('an unknown route is 404', 404, api => api.post('/v1/nowhere', {})),
  refused('a wrong method is 405', 405, api => api.send('GET', CHAT)),
]
