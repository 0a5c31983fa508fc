import type { EngineErrorData } from '../../edge/engine.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { Sequence } from '../scheduler/sequence.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'
import type { EngineService } from './engineService.ts'
import type { Job } from './job.ts'
import type { StepResult } from './launchStep.ts'
import type { TokenBytes } from './output/tokenLogprob.ts'
import { StalledReaders } from './stalledReaders.ts'
import { StepLogprobs } from './stepLogprobs.ts'

export interface RunningJobsOptions {
  bytesOf: TokenBytes
  /** How long a reader may lag. */
  stallMs: number
  /** Called when sequences may have got their turn: whoever waited for a place or pages may run. */
  onRoom(): void
}

/** The accepted jobs of an engine: what steps make goes to their readers, and whatever ends a job ends its sequences. */
export class RunningJobs {
  readonly #scheduler: Scheduler
  readonly #service: EngineService
  readonly #bytesOf: TokenBytes
  readonly #onRoom: () => void
  readonly #jobs = new Set<Job>()
  readonly #jobOf = new Map<Sequence, Job>()
  readonly #stalled: StalledReaders

  constructor(
    scheduler: Scheduler,
    service: EngineService,
    { bytesOf, stallMs, onRoom }: RunningJobsOptions,
  ) {
    this.#scheduler = scheduler
    this.#service = service
    this.#bytesOf = bytesOf
    this.#onRoom = onRoom
    this.#stalled = new StalledReaders(stallMs, job => this.#giveUp(job, stallMs))
  }

  get size(): number {
    return this.#jobs.size
  }

  /** Adds a job with all its choices; it ends when the signal aborts. */
  add(job: Job, signal: AbortSignal): void {
    const abort = () => this.abort(job)
    this.#jobs.add(job)
    for (const sequence of job.sequences) this.#jobOf.set(sequence, job)
    signal.addEventListener('abort', abort, { once: true })
    job.onEnd = () => signal.removeEventListener('abort', abort)
  }

  /** Ends the jobs of this name. @returns whether there were any */
  cancel(id: string, owner: string | undefined): boolean {
    const named = [...this.#jobs].filter(
      ({ id: jobId, job }) => (jobId === id || job.requestId === id) && job.owner === owner,
    )
    for (const job of named) {
      this.#endWithError(job, { kind: 'cancelled', message: 'The job was cancelled.' })
    }
    if (named.length > 0) this.#onRoom()
    return named.length > 0
  }

  /** Its reader has left. */
  abort(job: Job): void {
    if (!this.#jobs.has(job)) return
    this.#service.completed('aborted', job.numUnfinished)
    this.#forget(job)
    job.queue.abandon()
    this.#onRoom()
  }

  /** Its reader has taken everything. */
  resume(job: Job): void {
    if (!this.#stalled.delete(job)) return
    for (const sequence of job.sequences) this.#scheduler.setPaused(sequence, false)
    this.#onRoom()
  }

  /** Hands out what a step gave. */
  takeResults(plan: StepPlan, result: StepResult, ms: number, now: number): void {
    const logprobs = new StepLogprobs(plan, result, this.#bytesOf)
    for (const [sequence, prompt] of logprobs.prompts()) {
      this.#jobOf.get(sequence)?.pushPromptLogprobs(sequence, prompt)
    }
    this.#scheduler.apply(plan.id, result.sampled.tokens, ms, now, (sequence, token, row) => {
      const job = this.#jobOf.get(sequence)
      if (job === undefined) return
      if (token < 0 && row >= 0) {
        this.#endWithError(job, { kind: 'internal', message: noToken })
        return
      }
      const logprob = token < 0 ? undefined : logprobs.ofDelivered(sequence, row)
      const reason = job.takeToken(sequence, token, logprob, now)
      if (reason === undefined) return
      this.#service.completed(reason)
      this.#scheduler.finish(sequence)
    })
    for (const job of this.#jobs) this.#afterStep(job, now)
  }

  endAll(error: EngineErrorData): void {
    for (const job of this.#jobs) this.#endWithError(job, error)
  }

  /** Stops watching readers. */
  close(): void {
    this.#stalled.close()
  }

  /** Sends what the step made, and ends or pauses the job. */
  #afterStep(job: Job, now: number): void {
    if (job.isDone) {
      this.#forget(job)
      job.queue.close()
      return
    }
    if (job.job.progress) {
      const [first] = job.sequences
      if (first !== undefined) job.pushProgress(this.#scheduler.queuePosition(first))
    }
    job.queue.flush()
    if (job.queue.isFull && !this.#stalled.has(job)) {
      for (const sequence of job.sequences) this.#scheduler.setPaused(sequence, true)
      this.#stalled.add(job, now)
    }
  }

  #giveUp(job: Job, stallMs: number): void {
    const message = `The reader took nothing for ${Math.round(stallMs / 1000)} s.`
    this.#endWithError(job, { kind: 'timeout', message })
    this.#onRoom()
  }

  #endWithError(job: Job, error: EngineErrorData): void {
    this.#service.completed('error', job.numUnfinished)
    this.#forget(job)
    job.pushError(error)
    job.queue.close()
  }

  #forget(job: Job): void {
    this.#jobs.delete(job)
    this.#stalled.delete(job)
    job.onEnd()
    for (const sequence of job.sequences) {
      this.#jobOf.delete(sequence)
      this.#scheduler.finish(sequence)
    }
  }
}

const noToken =
  'The model gave no token that may be: its logits are not numbers, every token is banned, or the grammar can be read in too many ways.'
