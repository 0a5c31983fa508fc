import type { Context } from 'hono'
import { isOfReading } from '../errors.ts'
import type { AppEnv } from '../http/requestScope.ts'
import type { JobRun } from '../jobs/jobRun.ts'
import { streamRun } from '../jobs/runRoute.ts'
import type { ResponseRun } from './responseRun.ts'
import type { StoredResponse } from './responseStore.ts'
import { ResponseStream } from './responseStream.ts'
import type { ResponsesDeps } from './responsesDeps.ts'
import { replace } from './storedRuns.ts'

export interface ResponseReading {
  /** From its first event on. */
  run: JobRun
  stored: StoredResponse
  response: ResponseRun
  /** Number of the last event the client has; default none. */
  after?: number
}

/** Streams a response. Its end is kept before the client hears of it, who may go on from there at once. */
export function streamResponse(
  c: Context<AppEnv>,
  deps: ResponsesDeps,
  { run, stored, response, after = -1 }: ResponseReading,
): Response {
  const encoder = new ResponseStream(response, { after, done: !deps.strictOpenai })
  return streamRun(c, deps, run, encoder, async () => {
    const { error } = response
    if (!stored.detached || (error !== undefined && isOfReading(error))) return
    await replace({ ...stored, response: response.response }, deps.store)
  })
}
