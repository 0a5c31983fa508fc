import { randomUUID } from 'node:crypto'
import {
  type Accepted,
  type Embedded,
  type EmbedJob,
  type Engine,
  EngineError,
  type EngineErrorData,
  type GenerateJob,
} from '../../edge/engine.ts'
import { Admissions } from './admissions.ts'
import { ForwardingEngine } from './forwardingEngine.ts'
import { JobLog } from './jobLog.ts'
import { type JobLogLimits, JobLogs } from './jobLogs.ts'

/** An engine whose jobs end with their reader. */
export type AttendedEngine = Omit<Engine, 'attach'>

interface DetachedJob {
  /** Rejects when the job is not accepted. */
  log: Promise<JobLog>
  /** The wrapped engine's name for it, from acceptance on. */
  innerId?: string
}

/**
 * Gives an engine detached jobs: they run whether or not anybody reads, and keep their events for readers to come. A job
 * whose log is full fails, so a log is whole or ends with an error. Whatever ends the jobs of the engine ends these.
 * Jobs of both kinds can be cancelled from the moment they are submitted.
 */
export class DetachedJobs extends ForwardingEngine<AttendedEngine> implements Engine {
  readonly #logs: JobLogs
  readonly #admissions = new Admissions()
  readonly #running = new Map<string, DetachedJob>()

  constructor(engine: AttendedEngine, limits: Partial<JobLogLimits> = {}) {
    super(engine)
    this.#logs = new JobLogs(limits)
  }

  override async submit(
    { detach, jobId, ...job }: GenerateJob,
    signal: AbortSignal,
  ): Promise<Accepted> {
    if (detach) return this.#submitDetached(jobId ?? `job-${randomUUID()}`, job, signal)
    if (jobId === undefined) {
      return this.#admissions.wait(job, cancelled =>
        this.inner.submit(job, AbortSignal.any([signal, cancelled])),
      )
    }
    const message = 'jobId names a detached job, and detach is not set'
    throw new EngineError({ kind: 'invalid', message, param: 'jobId' })
  }

  async attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted> {
    signal.throwIfAborted()
    const log = this.#logs.get(keyOf(jobId, owner))
    if (log === undefined) {
      throw new EngineError({ kind: 'job_not_found', message: `No job '${jobId}' is kept here.` })
    }
    if (!Number.isInteger(after) || after < -1) {
      const message = `after is ${after}, must be an integer of at least -1`
      throw new EngineError({ kind: 'invalid', message, param: 'after' })
    }
    return log.read(after, signal)
  }

  override async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const innerId = this.#running.get(keyOf(id, owner))?.innerId
    // Both in one go: between them a job could pass from the one to the other.
    const running = this.inner.cancel(innerId ?? id, owner)
    const wasAdmitted = this.#admissions.cancel(id, owner)
    return (await running) || wasAdmitted
  }

  override embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return this.#admissions.wait(job, cancelled =>
      this.inner.embed(job, AbortSignal.any([signal, cancelled])),
    )
  }

  async #submitDetached(jobId: string, job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    const key = keyOf(jobId, job.owner)
    for (;;) {
      signal.throwIfAborted()
      const log = this.#logs.get(key)
      if (log !== undefined) return log.read(-1, signal)
      const other = this.#running.get(key)
      if (other === undefined) break
      // Whoever asked first may have left, or been refused for a reason that is gone by now. Whoever cancelled meant all.
      await other.log.catch((error: unknown) => {
        if (error instanceof EngineError && error.kind === 'cancelled') throw error
      })
    }
    this.#logs.reserve(job.owner)
    const detached: DetachedJob = { log: this.#begin(jobId, job, signal) }
    this.#running.set(key, detached)
    const log = await detached.log.catch((error: unknown) => {
      this.#running.delete(key)
      throw error
    })
    return log.read(-1, signal)
  }

  /** Until it is accepted the job is its caller's. */
  async #begin(jobId: string, job: GenerateJob, signal: AbortSignal): Promise<JobLog> {
    const left = new AbortController()
    const abort = () => left.abort(signal.reason)
    signal.addEventListener('abort', abort)
    try {
      const { events, ...head } = await this.#admissions.wait({ ...job, jobId }, cancelled =>
        this.inner.submit(job, AbortSignal.any([left.signal, cancelled])),
      )
      const log = new JobLog({ ...head, jobId })
      const key = keyOf(jobId, job.owner)
      this.#logs.add(key, job.owner, log)
      const running = this.#running.get(key)
      if (running !== undefined) running.innerId = head.jobId
      this.#follow(key, events)
      return log
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Reads a job to its end. Never rejects. */
  async #follow(key: string, events: Accepted['events']): Promise<void> {
    let error: EngineErrorData | undefined = endedEarly
    try {
      for await (const batch of events) {
        if (!this.#logs.append(key, batch)) {
          error = logFull
          // Leaving ends the job.
          break
        }
        if (batch.some(({ kind }) => kind === 'usage' || kind === 'error')) error = undefined
      }
    } catch (cause) {
      if (cause instanceof EngineError) error = cause.toData()
    }
    this.#running.delete(key)
    this.#logs.end(key, error)
  }
}

const endedEarly = { kind: 'internal' as const, message: 'The engine ended the job early.' }
const logFull = {
  kind: 'too_large' as const,
  message: 'The run made more output than the server can keep for its readers.',
}

/** An id is its owner's own: to anybody else it is unknown. */
function keyOf(jobId: string, owner: string | undefined): string {
  return JSON.stringify([jobId, owner ?? null])
}
