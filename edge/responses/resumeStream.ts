import type { Context } from 'hono'
import { EngineError } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import type { AppEnv } from '../http/requestScope.ts'
import { invalidValue } from '../schema.ts'
import type { StoredResponse } from './responseStore.ts'
import type { ResponsesDeps } from './responsesDeps.ts'
import { atStart, runOf } from './storedRuns.ts'
import { streamResponse } from './streamResponse.ts'

/**
 * Answers GET /v1/responses/{id}?stream=true: the same events as at the first time, from `starting_after` on, then those
 * to come. Leaving ends this reading only.
 * @throws ApiError 400 when the engine keeps the events no more
 */
export async function resumeStream(
  c: Context<AppEnv>,
  deps: ResponsesDeps,
  stored: StoredResponse,
): Promise<Response> {
  const after = startingAfter(c.req.query('starting_after'))
  const { id } = stored.response
  const reading = new AbortController()
  const accepted = await c.var.scope.engine
    .attach(id, -1, reading.signal)
    .catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.kind !== 'job_not_found') throw error
      const message = `The events of the response '${id}' are not kept any more; retrieve it without 'stream'.`
      throw invalidRequest('stream', message)
    })
  const run = {
    accepted,
    events: accepted.events[Symbol.asyncIterator](),
    abort: () => reading.abort(),
    release() {},
    signal: reading.signal,
  }
  return streamResponse(c, deps, { run, stored, response: runOf(atStart(stored)), after })
}

function startingAfter(text: string | undefined): number {
  if (text === undefined) return -1
  const value = Number(text)
  if (Number.isInteger(value)) return value
  throw invalidValue('starting_after', text, 'the number of an event')
}
