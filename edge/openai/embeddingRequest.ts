import { z } from 'zod'
import type { EmbedJob, JsonObject, ModelInfo } from '../engine.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { field, invalidValue, optional, parseFields } from '../schema.ts'
import { checkTokenId } from './samplingFields.ts'

const MAX_INPUTS = 2048

const tokenIds = z.array(z.number())

/** The body of POST /v1/embeddings. */
export const embeddingFields = z.object({
  model: optional(field.string()),
  input: z.union([z.string(), tokenIds, z.array(z.union([z.string(), tokenIds]))]),
  encoding_format: optional(z.enum(['float', 'base64'], "'float' or 'base64'")),
  dimensions: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  truncate_sequence: optional(field.boolean()),
})

export interface EmbeddingRequest {
  job: EmbedJob
  /** Vectors as base64 of little-endian float32, which the official client asks for; else as numbers. */
  base64: boolean
}

/**
 * Turns the body of POST /v1/embeddings into a job.
 * @throws ApiError 400 naming the field; EngineError when no model has the name
 */
export function embeddingRequest(body: JsonObject, models: ModelInfo[]): EmbeddingRequest {
  const model = resolveModel(models, typeof body.model === 'string' ? body.model : undefined)
  const inputs = toInputs(body.input, model)
  const request = parseFields(embeddingFields.omit({ input: true }), body)
  const { dimensions } = request
  if (
    dimensions !== undefined &&
    model.embeddingSize !== null &&
    dimensions > model.embeddingSize
  ) {
    const range = `an integer between 1 and ${model.embeddingSize}, the size of this model's embeddings`
    throw invalidValue('dimensions', dimensions, range)
  }
  return {
    job: {
      model: model.id,
      inputs,
      ...(dimensions !== undefined && { dimensions }),
      ...(request.truncate_sequence && { truncate: true }),
    },
    base64: request.encoding_format === 'base64',
  }
}

/** Brings the four forms of an input into one. */
function toInputs(input: unknown, model: ModelInfo): EmbedJob['inputs'] {
  if (typeof input === 'string') return [text(input, 'input')]
  if (!Array.isArray(input) || input.length === 0 || input.length > MAX_INPUTS) {
    const forms = `a string, an array of token ids, or an array of 1 to ${MAX_INPUTS} of these`
    throw invalidValue('input', input ?? undefined, forms)
  }
  if (typeof input[0] === 'number') return [ids(input, 'input', model)]
  return input.map((item: unknown, i) =>
    typeof item === 'string' ? text(item, `input[${i}]`) : ids(item, `input[${i}]`, model),
  )
}

function text(value: string, param: string): string {
  if (value !== '') return value
  throw invalidValue(param, value, 'a string that is not empty')
}

function ids(value: unknown, param: string, model: ModelInfo): number[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalidValue(param, value, 'a string or an array of token ids, not empty')
  }
  return value.map((id: unknown) => checkTokenId(id, param, model))
}
