import { anthropicOutcome } from '../anthropic/errorBody.ts'
import { componentRef } from '../componentRef.ts'
import type { JsonObject } from '../engine.ts'
import type { Operation } from './operation.ts'

const descriptions: Record<number, string> = {
  400: 'Something in the request is wrong: `param` says what.',
  401: 'The API key is missing or wrong.',
  403: 'The key, or the web page, may not do this.',
  404: 'There is no such model or object.',
  408: 'The body came too slowly.',
  409: 'The model is busy with something else.',
  413: 'The body is too large.',
  415: 'The body is compressed.',
  429: 'The queue is full, or the key has used up what it may.',
  499: 'Another request has cancelled this one.',
  500: 'The server failed.',
  502: 'The machine with the model cannot be reached.',
  503: 'The model is loading, the machine with it does not answer, or the server is shutting down.',
  504: 'The machine with the model took too long.',
}

/** What any guarded route can answer with: keys, pages, and an engine that cannot be asked. */
const ALWAYS = [401, 403, 500, 502, 503, 504]

/** Statuses after which the client is told when to come again. */
const RETRIED = new Set([429, 503])

/** The failures of an operation as OpenAPI responses, by status. */
export function failureResponses({ failures, errors, open }: Operation): JsonObject {
  const statuses = open ? failures : [...failures, ...ALWAYS]
  return Object.fromEntries(
    statuses.map(status => [
      errors === 'anthropic' ? anthropicOutcome(status).status : status,
      { $ref: `#/components/responses/${nameOf(status, errors)}` },
    ]),
  )
}

/** The responses that `failureResponses` refers to, by name. */
export function failureComponents(): JsonObject {
  const statuses = Object.keys(descriptions).map(Number)
  return Object.fromEntries(
    (['openai', 'anthropic'] as const).flatMap(errors =>
      statuses.map(status => [nameOf(status, errors), failure(status, errors)]),
    ),
  )
}

function nameOf(status: number, errors: Operation['errors']): string {
  return errors === 'anthropic' ? `Anthropic${anthropicOutcome(status).status}` : `Error${status}`
}

function failure(status: number, errors: Operation['errors']): JsonObject {
  const body = errors === 'anthropic' ? 'AnthropicError' : 'ApiError'
  return {
    description: descriptions[status] ?? '',
    ...(RETRIED.has(status) && {
      headers: {
        'retry-after': { $ref: '#/components/headers/retry-after' },
        'retry-after-ms': { $ref: '#/components/headers/retry-after-ms' },
      },
    }),
    content: { 'application/json': { schema: { $ref: componentRef(body) } } },
  }
}
