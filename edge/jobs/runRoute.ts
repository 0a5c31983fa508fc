import type { Context } from 'hono'
import type { RouteDeps } from '../deps.ts'
import type { Reply } from '../http/reply.ts'
import type { AppEnv } from '../http/requestScope.ts'
import type { JobRun } from './jobRun.ts'
import { type StreamEncoder, sseResponse } from './sse.ts'

/** @param prefix of the id, such as `chatcmpl-` */
export function replyOf({ clock, newId }: RouteDeps, prefix: string, { accepted }: JobRun): Reply {
  return {
    id: `${prefix}${newId()}`,
    created: Math.floor(clock() / 1000),
    model: accepted.model,
    fingerprint: accepted.fingerprint,
  }
}

/**
 * Answers with the run as a stream; the request is logged when that has ended.
 * @param beforeEnd what to wait for before the last frames are sent
 */
export function streamRun(
  c: Context<AppEnv>,
  { keepAliveMs }: RouteDeps,
  run: JobRun,
  encoder: StreamEncoder,
  beforeEnd?: () => Promise<void>,
): Response {
  const { scope } = c.var
  scope.streaming = true
  return sseResponse(run, encoder, { scope, keepAliveMs, beforeEnd }, c.env)
}
