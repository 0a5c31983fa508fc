import { z } from 'zod'
import type { GenerateJob, ModelInfo, SamplingOptions } from '../engine.ts'
import { defined, field, invalidValue, optional } from '../schema.ts'

const MAX_STOP_STRINGS = 16
const INT64 = 2 ** 63

const stopString = field.string().min(1, 'a non-empty string')
/** More than OpenAI's four are allowed. */
const stopField = z.union(
  [stopString, z.array(stopString).max(MAX_STOP_STRINGS, `at most ${MAX_STOP_STRINGS} strings`)],
  { error: `a non-empty string or up to ${MAX_STOP_STRINGS} of them` },
)

/** Fields that chat and legacy completions share. */
export const samplingFields = {
  model: optional(field.string()),
  n: optional(field.integer(1, 128)),
  temperature: optional(field.number(0, 2)),
  top_p: optional(field.number(0, 1)),
  top_k: optional(field.integer(-INT64, INT64)),
  min_p: optional(field.number(0, 1)),
  frequency_penalty: optional(field.number(-2, 2)),
  presence_penalty: optional(field.number(-2, 2)),
  repetition_penalty: optional(field.positiveNumber()),
  logit_bias: optional(field.object()),
  seed: optional(field.integer(-INT64, INT64)),
  stop: optional(stopField),
  dry_multiplier: optional(field.number(0, 100)),
  dry_base: optional(field.number(1, 100)),
  dry_allowed_length: optional(field.integer(0, Number.MAX_SAFE_INTEGER)),
  dry_sequence_breakers: optional(
    z.array(field.string().min(1, 'a string'), 'an array of strings'),
  ),
  stream: optional(field.boolean()),
  stream_options: optional(
    z.object(
      { include_usage: optional(field.boolean()), include_obfuscation: optional(field.boolean()) },
      'an object',
    ),
  ),
  /** Tell in the stream how far queueing and prefill are. */
  return_progress: optional(field.boolean()),
  ignore_eos: optional(field.boolean()),
  truncate_sequence: optional(field.boolean()),
}

type SamplingRequest = Partial<z.infer<z.ZodObject<typeof samplingFields>>>

/** The smallest nucleus is the best token alone; the engine takes no 0. */
const SMALLEST_TOP_P = 1e-9

/** @throws ApiError 400 for a `logit_bias` key that is no token id of `model` */
export function toSampling(request: SamplingRequest, model: ModelInfo): SamplingOptions {
  return defined({
    temperature: request.temperature,
    topP: request.top_p === undefined ? undefined : Math.max(request.top_p, SMALLEST_TOP_P),
    topK: request.top_k,
    minP: request.min_p,
    frequencyPenalty: request.frequency_penalty,
    presencePenalty: request.presence_penalty,
    repetitionPenalty: request.repetition_penalty,
    logitBias: request.logit_bias && toLogitBias(request.logit_bias, model),
    dry: toDry(request),
    seed: request.seed,
  })
}

function toDry(request: SamplingRequest): SamplingOptions['dry'] {
  const { dry_multiplier: multiplier } = request
  if (!multiplier) return undefined
  return {
    multiplier,
    ...defined({
      base: request.dry_base,
      allowedLength: request.dry_allowed_length,
      sequenceBreakers: request.dry_sequence_breakers,
    }),
  }
}

function toLogitBias(biases: Record<string, unknown>, model: ModelInfo): [number, number][] {
  return Object.entries(biases).map(([key, bias]) => {
    const id = checkTokenId(/^\d{1,15}$/.test(key) ? Number(key) : key, 'logit_bias', model)
    if (typeof bias === 'number' && bias >= -100 && bias <= 100) return [id, bias]
    throw invalidValue(`logit_bias.${key}`, bias, 'a number between -100 and 100')
  })
}

/** @throws ApiError 400 unless `id` is an integer the model's vocabulary has */
export function checkTokenId(id: unknown, param: string, { vocabSize }: ModelInfo): number {
  const limit = vocabSize ?? Number.MAX_SAFE_INTEGER
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < limit) return id
  const range = vocabSize === null ? '' : ` between 0 and ${vocabSize - 1}`
  throw invalidValue(param, id, `a token id${range}`)
}

/** Where a stream reports usage: in a chunk of its own, on the last finish chunk, or not at all. */
export type StreamUsage = 'chunk' | 'finish' | 'none'

export function streamUsage(request: SamplingRequest, unasked: StreamUsage): StreamUsage {
  const asked = request.stream_options?.include_usage
  return asked === undefined ? unasked : asked ? 'chunk' : 'none'
}

/** The part of a job that both kinds of completions fill alike. */
export function jobBasics(request: SamplingRequest, model: ModelInfo) {
  const { stop = [] } = request
  return {
    model: model.id,
    n: request.n ?? 1,
    sampling: toSampling(request, model),
    stop: Array.isArray(stop) ? stop : [stop],
    ...(request.ignore_eos && { ignoreEos: true }),
    ...(request.truncate_sequence && { truncatePrompt: true }),
    ...(request.stream && request.return_progress && { progress: true }),
  } satisfies Partial<GenerateJob>
}
