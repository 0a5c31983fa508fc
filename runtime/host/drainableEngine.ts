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
    const run = new Run(signal, firstSeq, this.#onRunEnd)
    this.#running.add(run)
    try {
      const accepted = await begin()
      run.read(accepted.events)
      return { ...accepted, events: run }
    } catch (error) {
      run.end()
      throw error
    }
  }

  readonly #onRunEnd = (run: Run) => {
    this.#running.delete(run)
    if (this.#running.size === 0) this.#onIdle()
  }
}

const shutDown = { kind: 'draining' as const, message: 'The server shut down before the end.' }

/**
 * A job and its events, with an error in place of the end when the deadline has passed. One object and the listener of the
 * client's signal too: thousands may be there at a time.
 */
class Run implements AsyncIterableIterator<GenerateEvent[]> {
  readonly #client: AbortSignal
  readonly #onEnd: (run: Run) => void
  #iterator: AsyncIterator<GenerateEvent[]> | undefined
  #seq: number
  #hasEnded = false
  #isShutDown = false
  #isTold = false

  /**
   * @param client ends the job
   * @param seq number of the first event
   * @param onEnd called once: when the events have ended, when the job was aborted, or when it was not accepted
   */
  constructor(client: AbortSignal, seq: number, onEnd: (run: Run) => void) {
    this.#client = client
    this.#seq = seq
    this.#onEnd = onEnd
    client.addEventListener('abort', this)
  }

  /** Called when the client leaves. Not left to the events alone: nobody may ever ask for the first one. */
  handleEvent(): void {
    this.end()
  }

  /** Leaves the job, which ends with its reader; one that is not accepted yet when it is. */
  shutDown(): void {
    this.#isShutDown = true
    this.end()
    this.#iterator?.return?.().catch(() => {})
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#client.removeEventListener('abort', this)
    this.#onEnd(this)
  }

  read(events: AsyncIterable<GenerateEvent[]>): void {
    this.#iterator = events[Symbol.asyncIterator]()
    if (this.#isShutDown) this.shutDown()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<GenerateEvent[]>> {
    if (this.#iterator === undefined) throw new Error('the job has not been accepted')
    return this.#iterator.next().then(this.#pass, this.#fail)
  }

  async return(): Promise<IteratorResult<GenerateEvent[]>> {
    this.#isTold = true
    this.end()
    await this.#iterator?.return?.()
    return { done: true, value: undefined }
  }

  readonly #pass = (result: IteratorResult<GenerateEvent[]>): IteratorResult<GenerateEvent[]> => {
    if (!result.done) {
      this.#seq += result.value.length
      return result
    }
    this.end()
    if (!this.#isShutDown || this.#isTold) return result
    this.#isTold = true
    return { done: false, value: [{ v: 1, seq: this.#seq, kind: 'error', error: shutDown }] }
  }

  readonly #fail = (error: unknown) => {
    this.end()
    if (!this.#client.aborted && !this.#isShutDown) throw error
    return this.#pass({ done: true, value: undefined })
  }
}
