import { z } from 'zod'
import type { GenerateJob, ModelInfo, SamplingOptions } from '../engine.ts'
import { defined, field, invalidValue, optional } from '../schema.ts'

const MAX_STOP_STRINGS = 16
const INT64 = 2 ** 63

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
  stop: field.any(),
  stream: optional(field.boolean()),
  stream_options: optional(z.object({ include_usage: optional(field.boolean()) }, 'an object')),
  ignore_eos: optional(field.boolean()),
}

type SamplingRequest = z.infer<z.ZodObject<typeof samplingFields>>

/** The smallest nucleus is the best token alone; the engine takes no 0. */
const SMALLEST_TOP_P = 1e-9

/** @throws ApiError 400 for a `logit_bias` key that is no token id of `model` */
export function toSampling(
  request: Omit<SamplingRequest, 'n' | 'stop' | 'stream_options'>,
  model: ModelInfo,
): SamplingOptions {
  return defined({
    temperature: request.temperature,
    topP: request.top_p === undefined ? undefined : Math.max(request.top_p, SMALLEST_TOP_P),
    topK: request.top_k,
    minP: request.min_p,
    frequencyPenalty: request.frequency_penalty,
    presencePenalty: request.presence_penalty,
    repetitionPenalty: request.repetition_penalty,
    logitBias: request.logit_bias && toLogitBias(request.logit_bias, model),
    seed: request.seed,
  })
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

/** Stop strings of a request; more than OpenAI's four are allowed. */
export function toStop(stop: unknown): string[] {
  if (stop === undefined || stop === null) return []
  const strings: unknown[] = Array.isArray(stop) ? stop : [stop]
  if (strings.length <= MAX_STOP_STRINGS && strings.every(isStopString)) return strings
  throw invalidValue('stop', stop, `a non-empty string or up to ${MAX_STOP_STRINGS} of them`)
}

function isStopString(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** Where a stream reports usage: in a chunk of its own, on the last finish chunk, or not at all. */
export type StreamUsage = 'chunk' | 'finish' | 'none'

export function streamUsage(request: SamplingRequest, unasked: StreamUsage): StreamUsage {
  const asked = request.stream_options?.include_usage
  return asked === undefined ? unasked : asked ? 'chunk' : 'none'
}

/** The part of a job that both kinds of completions fill alike. */
export function jobBasics(request: SamplingRequest, model: ModelInfo) {
  return {
    model: model.id,
    n: request.n ?? 1,
    sampling: toSampling(request, model),
    stop: toStop(request.stop),
    ...(request.ignore_eos && { ignoreEos: true }),
  } satisfies Partial<GenerateJob>
}
