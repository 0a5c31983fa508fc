import type { Context } from 'hono'
import type { AppDeps } from './deps.ts'
import type { GenerateJob } from './engine.ts'
import { type JobRun, startJob } from './jobRun.ts'
import type { Reply } from './reply.ts'
import type { AppEnv } from './requestScope.ts'
import { type StreamEncoder, sseResponse } from './sse.ts'

/** Submits the job of a request, which ends when its client leaves. @throws EngineError from `submit` */
export async function startRun(
  c: Context<AppEnv>,
  { engine }: AppDeps,
  job: GenerateJob,
): Promise<JobRun> {
  const { scope } = c.var
  scope.model = job.model
  const run = await startJob(engine, { ...job, requestId: scope.id }, c.req.raw.signal)
  scope.promptTokens = run.accepted.promptTokens
  return run
}

/** @param prefix of the id, such as `chatcmpl-` */
export function replyOf({ clock, newId }: AppDeps, prefix: string, { accepted }: JobRun): Reply {
  return {
    id: `${prefix}${newId()}`,
    created: Math.floor(clock() / 1000),
    model: accepted.model,
    fingerprint: accepted.fingerprint,
  }
}

/** Answers with the run as a stream; the request is logged when that has ended. */
export function streamRun(
  c: Context<AppEnv>,
  { keepAliveMs }: AppDeps,
  run: JobRun,
  encoder: StreamEncoder,
): Response {
  const { scope } = c.var
  scope.streaming = true
  return sseResponse(run, encoder, {
    keepAliveMs,
    onError: error => scope.reportInternalError(error),
    onEnd: end => {
      scope.completionTokens = encoder.usage?.completionTokens
      scope.end(end, 200)
    },
  })
}
