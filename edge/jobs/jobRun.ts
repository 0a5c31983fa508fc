import type { Accepted, GenerateEvent, GenerateJob } from '../engine.ts'
import { FollowingController } from '../followingController.ts'
import type { RequestScope } from '../http/requestScope.ts'

/** An accepted job and the switch that ends it. */
export interface JobRun {
  accepted: Accepted
  events: AsyncIterator<GenerateEvent[]>
  /** Ends the job; safe to call at any time. */
  abort(): void
  /** Lets go of the client of a job that has completed. */
  release(): void
  /** Aborted by `abort` only. */
  signal: AbortSignal
}

/**
 * Submits a request's job, which lives no longer than its client.
 * @throws EngineError and ApiError from `submit`
 */
export async function startJob(scope: RequestScope, job: GenerateJob): Promise<JobRun> {
  scope.model = job.model
  const controller = new FollowingController(scope.signal)
  try {
    const accepted = await scope.engine.submit(job, controller.signal)
    scope.promptTokens = accepted.promptTokens
    return Object.assign(controller, { accepted, events: accepted.events[Symbol.asyncIterator]() })
  } catch (error) {
    controller.release()
    throw error
  }
}
