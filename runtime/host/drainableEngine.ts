import {
  type Accepted,
  type Embedded,
  type EmbedJob,
  type Engine,
  EngineError,
  type EngineHealth,
  type GenerateEvent,
  type GenerateJob,
} from '../../edge/engine.ts'
import { trackRun } from '../../edge/jobs/trackedJob.ts'
import { ForwardingEngine } from '../engine/forwardingEngine.ts'

/** An engine in front of another that can be taken out of service: new jobs are refused, running ones finish. */
export class DrainableEngine extends ForwardingEngine<Engine> implements Engine {
  #isDraining = false
  /** Switches that end the running jobs. */
  readonly #running = new Set<AbortController>()
  #onIdle = () => {}

  override submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    return this.#run(signal, 0, running => this.inner.submit(job, running))
  }

  attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted> {
    return this.#run(signal, after + 1, reading => this.inner.attach(jobId, after, owner, reading))
  }

  override async embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    this.#checkOpen()
    return this.inner.embed(job, signal)
  }

  override async health(): Promise<EngineHealth> {
    const health = await this.inner.health()
    return this.#isDraining ? { ...health, ready: false, reason: 'draining' } : health
  }

  /** Refuses new jobs, waits for the accepted ones, and ends with an error what still runs after `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true
    if (this.#running.size === 0) return
    const { promise: idle, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    const deadline = setTimeout(() => {
      for (const controller of this.#running) controller.abort(shutDown)
    }, deadlineMs)
    await idle
    clearTimeout(deadline)
  }

  #checkOpen(): void {
    if (this.#isDraining) {
      throw new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
    }
  }

  /** @param firstSeq number of the first event */
  async #run(
    signal: AbortSignal,
    firstSeq: number,
    begin: (signal: AbortSignal) => Promise<Accepted>,
  ): Promise<Accepted> {
    this.#checkOpen()
    const controller = new AbortController()
    const abort = () => controller.abort(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort)
    this.#running.add(controller)
    const accepted = await trackRun(begin(controller.signal), controller.signal, () => {
      signal.removeEventListener('abort', abort)
      this.#running.delete(controller)
      if (this.#running.size === 0) this.#onIdle()
    })
    return { ...accepted, events: new UntilShutDown(accepted.events, controller.signal, firstSeq) }
  }
}

const shutDown = { kind: 'draining' as const, message: 'The server shut down before the end.' }

/** The same events, and an error in place of the end when the deadline has passed. */
class UntilShutDown implements AsyncIterableIterator<GenerateEvent[]> {
  readonly #iterator: AsyncIterator<GenerateEvent[]>
  readonly #signal: AbortSignal
  #seq: number
  #isTold = false

  /** @param seq number of the first event */
  constructor(events: AsyncIterable<GenerateEvent[]>, signal: AbortSignal, seq: number) {
    this.#iterator = events[Symbol.asyncIterator]()
    this.#signal = signal
    this.#seq = seq
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<GenerateEvent[]>> {
    return this.#iterator.next().then(this.#pass, this.#fail)
  }

  async return(): Promise<IteratorResult<GenerateEvent[]>> {
    this.#isTold = true
    await this.#iterator.return?.()
    return { done: true, value: undefined }
  }

  readonly #pass = (result: IteratorResult<GenerateEvent[]>): IteratorResult<GenerateEvent[]> => {
    if (!result.done) {
      this.#seq += result.value.length
      return result
    }
    if (this.#signal.reason !== shutDown || this.#isTold) return result
    this.#isTold = true
    return { done: false, value: [{ v: 1, seq: this.#seq, kind: 'error', error: shutDown }] }
  }

  readonly #fail = (error: unknown) => {
    if (!this.#signal.aborted) throw error
    return this.#pass({ done: true, value: undefined })
  }
}
