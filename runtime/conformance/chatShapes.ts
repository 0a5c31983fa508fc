import { z } from 'zod'
import { type Api, parseJson, type Streamed } from './api.ts'
import { fits, must, mustBeHere, mustSucceed } from './check.ts'

export const CHAT = '/v1/chat/completions'

/** Short, and the same each time. */
export const hello = {
  messages: [{ role: 'user', content: 'Count from one to five.' }],
  max_tokens: 12,
  temperature: 0,
  seed: 1,
}

export const usageShape = z.object({
  prompt_tokens: z.int().positive(),
  completion_tokens: z.int().nonnegative(),
  total_tokens: z.int().positive(),
})

const alternative = z.object({
  token: z.string(),
  logprob: z.number().max(0),
  bytes: z.array(z.int().min(0).max(255)).nullable(),
})
const tokenShape = alternative.extend({ top_logprobs: z.array(alternative) })
const logprobsShape = z.object({ content: z.array(tokenShape).nullable() }).nullish()

const callShape = z.object({
  id: z.string().min(1),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

export const completionShape = z.object({
  id: z.string().min(1),
  object: z.literal('chat.completion'),
  created: z.int().positive(),
  model: z.string().min(1),
  choices: z
    .array(
      z.object({
        index: z.int(),
        finish_reason: z.enum(['stop', 'length', 'tool_calls', 'content_filter', 'function_call']),
        message: z.object({
          role: z.literal('assistant'),
          content: z.string().nullable(),
          tool_calls: z.array(callShape).optional(),
        }),
        logprobs: logprobsShape,
      }),
    )
    .min(1),
  usage: usageShape,
})

export const chunkShape = z.object({
  id: z.string().min(1),
  object: z.literal('chat.completion.chunk'),
  created: z.int().positive(),
  model: z.string().min(1),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().nullish(),
        tool_calls: z
          .array(
            z.object({
              index: z.int(),
              id: z.string().optional(),
              type: z.literal('function').optional(),
              function: z.object({ name: z.string().optional(), arguments: z.string().optional() }),
            }),
          )
          .optional(),
      }),
      logprobs: logprobsShape,
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: usageShape.nullish(),
})

export type Completion = z.infer<typeof completionShape>
export type Chunk = z.infer<typeof chunkShape>

/** @param optional a 400 means that the server does not do it, rather than that it fails */
export async function chat(api: Api, fields: object = {}, optional = false): Promise<Completion> {
  const answer = await api.post(CHAT, { ...hello, ...fields })
  const expectHere = optional ? mustBeHere : mustSucceed
  expectHere(answer, 'chat')
  return fits(completionShape, parseJson(answer.text, 'the answer'), 'chat completion')
}

export async function chatStream(api: Api, fields: object = {}, optional = false) {
  const answer = await api.stream(CHAT, { ...hello, ...fields })
  const expectHere = optional ? mustBeHere : mustSucceed
  expectHere(answer, 'a chat stream')
  return { ...answer, chunks: chunksOf(answer) }
}

/** The chunks of a stream that ends as clients wait for. */
function chunksOf({ events }: Streamed): Chunk[] {
  const last = events.at(-1)
  must(last?.data === '[DONE]', `the stream ends with ${last?.data.slice(0, 60)}, not [DONE]`)
  return events
    .slice(0, -1)
    .map(({ data }, i) => fits(chunkShape, parseJson(data, `chunk ${i}`), `chunk ${i}`))
}

/** What is said by one choice of a stream. */
export function contentOf(chunks: Chunk[], index = 0): string {
  return chunks
    .flatMap(({ choices }) => choices.filter(choice => choice.index === index))
    .map(({ delta }) => delta.content ?? '')
    .join('')
}
