import type { Accepted, Engine, GenerateEvent, GenerateJob } from './engine.ts'

/** An accepted job and the switch that ends it. */
export interface JobRun {
  accepted: Accepted
  events: AsyncIterator<GenerateEvent[]>
  /** Ends the job; safe to call at any time. */
  abort(): void
  /** Lets go of the client of a job that has completed. */
  release(): void
  readonly aborted: boolean
}

/**
 * Submits a job that lives no longer than its client.
 * @param clientSignal aborts when the client goes away, also while the job is being admitted
 * @throws EngineError from `submit`
 */
export async function startJob(
  engine: Engine,
  job: GenerateJob,
  clientSignal: AbortSignal,
): Promise<JobRun> {
  const controller = new AbortController()
  const release = () => clientSignal.removeEventListener('abort', abort)
  const abort = () => {
    release()
    controller.abort()
  }
  if (clientSignal.aborted) abort()
  else clientSignal.addEventListener('abort', abort)
  try {
    const accepted = await engine.submit(job, controller.signal)
    return {
      accepted,
      events: accepted.events[Symbol.asyncIterator](),
      abort,
      release,
      get aborted() {
        return controller.signal.aborted
      },
    }
  } catch (error) {
    release()
    throw error
  }
}
