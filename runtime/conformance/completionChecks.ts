import { z } from 'zod'
import { type Api, parseJson } from './api.ts'
import { usageShape } from './chatShapes.ts'
import { type Check, fits, must, mustBeHere, mustSucceed } from './check.ts'

const PATH = '/v1/completions'
const request = { prompt: 'Once upon a time', max_tokens: 6, temperature: 0, seed: 1 }

const logprobsShape = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
  text_offset: z.array(z.int()),
})
const shape = z.object({
  id: z.string().min(1),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      text: z.string(),
      finish_reason: z.string().nullish(),
      logprobs: logprobsShape.nullish(),
    }),
  ),
  usage: usageShape.nullish(),
})

async function complete(api: Api, fields: object = {}, optional = false) {
  const answer = await api.post(PATH, { ...request, ...fields })
  const expectHere = optional ? mustBeHere : mustSucceed
  expectHere(answer, PATH)
  return fits(shape, parseJson(answer.text, 'the answer'), 'completion')
}

export const completionChecks: Check[] = [
  {
    name: 'a completion has the shape clients read',
    section: '7',
    async run(api) {
      const { usage, choices } = await complete(api)
      must(usage, 'there is no usage')
      must(choices[0]?.finish_reason, 'there is no finish_reason')
    },
  },
  {
    name: 'several prompts, n each, are numbered prompt by prompt',
    section: '7',
    async run(api) {
      const { choices } = await complete(api, { prompt: ['One', 'Two'], n: 2 }, true)
      const indices = choices.map(({ index }) => index).join()
      must(indices === '0,1,2,3', `indices are ${indices}`)
    },
  },
  {
    name: 'a stream says the same and ends with [DONE]',
    section: '7',
    async run(api) {
      const [whole] = (await complete(api)).choices
      const { events, ...answer } = await api.stream(PATH, request)
      mustSucceed(answer, 'a stream of completions')
      must(events.at(-1)?.data === '[DONE]', 'the stream does not end with [DONE]')
      const chunks = events
        .slice(0, -1)
        .map(({ data }) => fits(shape, parseJson(data, 'a chunk'), 'chunk'))
      const text = chunks.map(({ choices }) => choices[0]?.text ?? '').join('')
      must(text === whole?.text, `${JSON.stringify(text)}, not ${JSON.stringify(whole?.text)}`)
    },
  },
  {
    name: 'echo with logprobs scores the prompt, in the legacy shape',
    section: '7',
    async run(api) {
      const { choices } = await complete(api, { echo: true, max_tokens: 0, logprobs: 1 }, true)
      const [choice] = choices
      must(choice?.text === request.prompt, `the text is ${JSON.stringify(choice?.text)}`)
      must(choice.logprobs, 'there are no logprobs')
      const { tokens, token_logprobs, text_offset } = choice.logprobs
      must(token_logprobs[0] === null, 'the first logprob is not null')
      const isEven = tokens.length === token_logprobs.length && tokens.length === text_offset.length
      must(isEven, 'the lists are of different lengths')
    },
  },
]
