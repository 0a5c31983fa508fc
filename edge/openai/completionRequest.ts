import { z } from 'zod'
import type { GenerateJob, JsonObject, ModelInfo, TextPrompt } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { field, invalidValue, optional, parseFields } from '../schema.ts'
import { grammarFields, toOutputGrammar } from './outputGrammar.ts'
import {
  checkTokenId,
  jobBasics,
  type StreamUsage,
  samplingFields,
  streamUsage,
} from './samplingFields.ts'
import {
  ignoredChatFields,
  refuseUnsupported,
  unsupportedChatFields,
  unsupportedInCompletions,
} from './unsupportedFields.ts'

const ids = { type: 'array', items: { type: 'integer' }, minItems: 1 } as const

/** `toPrompts` checks them, which knows the vocabulary. */
const promptForms = [
  { type: 'string' as const },
  { type: 'null' as const },
  ids,
  { type: 'array' as const, items: { anyOf: [{ type: 'string' as const }, ids] }, minItems: 1 },
]

/** The body of POST /v1/completions. */
export const completionFields = z.object({
  ...samplingFields,
  ...grammarFields,
  prompt: field.any().meta({ anyOf: promptForms }),
  max_tokens: optional(field.integer(0, Number.MAX_SAFE_INTEGER)),
  logprobs: optional(field.integer(0, 5)),
  echo: optional(field.boolean()),
  best_of: optional(field.integer(1, 20)),
  suffix: optional(field.string()),
  adapter: unsupportedChatFields.adapter,
  user: ignoredChatFields.user,
})

type Prompts = TextPrompt['prompts']

/** What the answer to a legacy completion request must look like. */
export interface CompletionFormat {
  prompts: Prompts
  echo: boolean
  logprobs: boolean
  /** Choices to return per prompt, of `candidates` generated. */
  n: number
  candidates: number
  streamUsage: StreamUsage
  strictOpenai: boolean
}

export interface CompletionRequest {
  job: GenerateJob
  stream: boolean
  format: CompletionFormat
  /** The field that `job.grammar` comes from. */
  grammarParam?: string
}

const STRICT_MAX_TOKENS = 16
const MAX_PROMPTS = 2048

/**
 * Turns the body of POST /v1/completions into a job.
 * @throws ApiError 400 naming the field; EngineError when no model has the name
 */
export function completionRequest(
  body: JsonObject,
  models: ModelInfo[],
  { strictOpenai }: { strictOpenai: boolean },
): CompletionRequest {
  const request = parseFields(completionFields, body)
  refuseUnsupported(unsupportedInCompletions, body)
  const model = resolveModel(models, request.model)
  const prompts = toPrompts(request.prompt, model)
  const basics = jobBasics(request, model)
  const echo = request.echo ?? false
  const stream = request.stream ?? false
  const candidates = request.best_of ?? basics.n
  if (candidates < basics.n) {
    throw invalidValue('best_of', candidates, `an integer of at least 'n', which is ${basics.n}`)
  }
  if (candidates > basics.n && stream) {
    throw invalidRequest('best_of', "'best_of' greater than 'n' cannot be streamed.")
  }
  const maxTokens = request.max_tokens ?? (strictOpenai ? STRICT_MAX_TOKENS : undefined)
  if (maxTokens === 0 && !echo) {
    throw invalidValue('max_tokens', 0, "an integer of at least 1, or 0 together with 'echo'")
  }
  const ranked = candidates > basics.n
  const output = toOutputGrammar(request)
  const job: GenerateJob = {
    ...basics,
    n: candidates,
    prompt: { kind: 'text', prompts, ...(request.suffix && { suffix: request.suffix }) },
    ...(output && { grammar: output.grammar }),
    ...(maxTokens !== undefined && { maxTokens }),
    // Ranking needs the log-probability of every token, also when the client did not ask for them.
    ...((request.logprobs !== undefined || ranked) && { logprobs: { top: request.logprobs ?? 0 } }),
    ...(echo && request.logprobs !== undefined && { promptLogprobs: true }),
  }
  return {
    job,
    stream,
    format: {
      prompts,
      echo,
      logprobs: request.logprobs !== undefined,
      n: basics.n,
      candidates,
      streamUsage: streamUsage(request, 'none'),
      strictOpenai,
    },
    ...(output && { grammarParam: output.param }),
  }
}

/** Brings the four forms of a prompt into one; null stands for an empty document. */
function toPrompts(prompt: unknown, model: ModelInfo): Prompts {
  if (prompt === null) return ['']
  if (typeof prompt === 'string') return [prompt]
  if (!Array.isArray(prompt) || prompt.length === 0 || prompt.length > MAX_PROMPTS) {
    throw invalidValue(
      'prompt',
      prompt,
      `a string, an array of token ids, or an array of 1 to ${MAX_PROMPTS} of these`,
    )
  }
  if (typeof prompt[0] === 'number') return [tokenIds(prompt, 'prompt', model)]
  return prompt.map((item: unknown, i) => {
    if (typeof item === 'string') return item
    if (Array.isArray(item) && item.length > 0) return tokenIds(item, `prompt[${i}]`, model)
    throw invalidValue(`prompt[${i}]`, item, 'a string or a non-empty array of token ids')
  })
}

function tokenIds(ids: unknown[], path: string, model: ModelInfo): number[] {
  return ids.map((id, i) => checkTokenId(id, `${path}[${i}]`, model))
}
