import type { z } from 'zod'
import type { JsonObject } from '../engine.ts'

export type Tag = 'Chat' | 'Completions' | 'Embeddings' | 'Responses' | 'Messages' | Other
type Other = 'Models' | 'Tokens' | 'Requests' | 'Server'

/** JSON of a schema, or text of a media type. */
export type Answer = z.ZodType | { text: string; description: string }

/** One route as the document describes it. */
export interface Operation {
  method: 'get' | 'post' | 'delete'
  /** As clients write it, with `/v1` where they do and parameters in braces. */
  path: string
  /** Unique: what generated clients call it. */
  id: string
  tag: Tag
  summary: string
  description?: string
  parameters?: Parameter[]
  body?: { schema: z.ZodType; example: JsonObject }
  /** What status 200 holds. */
  answer: Answer
  /** The other form of the answer, when `stream` asks for it: names of its events. */
  stream?: string
  /** Statuses of failures beside those every guarded route has. */
  failures: number[]
  /** Needs no key. */
  open?: boolean
  /** What status 503 holds where that is an answer rather than a failure. */
  unready?: Answer
  /** Whose error body it has; default OpenAI's. */
  errors?: 'anthropic' | 'openai'
}

export interface Parameter {
  name: string
  in: 'path' | 'query'
  schema: JsonObject
  description: string
}

/** Of reading a body. */
export const BODY = [400, 408, 413, 415]
/** Of finding a model, and giving it work. */
export const MODEL = [404, 429]
/** A job that was cancelled by another request. */
export const CANCELLED = 499

export function pathParameter(name: string, description: string): Parameter {
  return { name, in: 'path', schema: { type: 'string', minLength: 1 }, description }
}
