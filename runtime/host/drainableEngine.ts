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
import { TrackedRun } from '../../edge/trackedRun.ts'
import { ForwardingEngine } from '../engine/forwardingEngine.ts'

/** An engine in front of another that can be taken out of service: new jobs are refused, running ones finish. */
export class DrainableEngine extends ForwardingEngine<Engine> implements Engine {
  #isDraining = false
  readonly #running = new Set<Run>()
  #onIdle = () => {}

  override submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    return this.#run(signal, 0, () => this.inner.submit(job, signal))
  }

  attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted> {
    return this.#run(signal, after + 1, () => this.inner.attach(jobId, after, owner, signal))
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
      for (const run of this.#running) run.shutDown()
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
    begin: () => Promise<Accepted>,
  ): Promise<Accepted> {
    this.#checkOpen()
    const run = new Run(signal, firstSeq, () => {
      this.#running.delete(run)
      if (this.#running.size === 0) this.#onIdle()
    })
    this.#running.add(run)
    return run.follow(begin())
  }
}

const shutDown = { kind: 'draining' as const, message: 'The server shut down before the end.' }

/** A job and its events, with an error in place of the end when the deadline has passed. */
class Run extends TrackedRun {
  #seq: number
  #isShutDown = false
  #isTold = false

  /** @param seq number of the first event */
  constructor(client: AbortSignal, seq: number, onEnd: () => void) {
    super(client, onEnd)
    this.#seq = seq
  }

  /** Leaves the job, which ends with its reader; one that is not accepted yet when it is. */
  shutDown(): void {
    this.#isShutDown = true
    this.end()
    this.iterator?.return?.().catch(() => {})
  }

  override return(): Promise<IteratorResult<GenerateEvent[]>> {
    this.#isTold = true
    return super.return()
  }

  protected override read(events: AsyncIterable<GenerateEvent[]>): void {
    super.read(events)
    if (this.#isShutDown) this.shutDown()
  }

  protected override pass(result: IteratorResult<GenerateEvent[]>) {
    if (!result.done) this.#seq += result.value.length
    else if (this.#isShutDown && !this.#isTold) {
      this.#isTold = true
      const event = { v: 1 as const, seq: this.#seq, kind: 'error' as const, error: shutDown }
      return { done: false as const, value: [event] }
    }
    return super.pass(result)
  }

  protected override fail(error: unknown): IteratorResult<GenerateEvent[]> {
    if (!this.signal.aborted && !this.#isShutDown) return super.fail(error)
    this.end()
    return this.pass({ done: true, value: undefined })
  }
}
