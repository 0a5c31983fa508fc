import {
  type Accepted,
  type DetokenizeJob,
  type Engine,
  EngineError,
  type EngineHealth,
  type GenerateEvent,
  type GenerateJob,
  type ModelInfo,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'
import { submitTracked } from '../../edge/trackedJob.ts'

/** An engine in front of another that can be taken out of service: new jobs are refused, running ones finish. */
export class DrainableEngine implements Engine {
  readonly #engine: Engine
  #isDraining = false
  /** Switches that end the running jobs. */
  readonly #running = new Set<AbortController>()
  #onIdle = () => {}

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    if (this.#isDraining) {
      throw new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
    }
    const controller = new AbortController()
    const abort = () => controller.abort(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort)
    this.#running.add(controller)
    const accepted = await submitTracked(this.#engine, job, controller.signal, () => {
      signal.removeEventListener('abort', abort)
      this.#running.delete(controller)
      if (this.#running.size === 0) this.#onIdle()
    })
    return { ...accepted, events: orShutDown(accepted.events, controller.signal) }
  }

  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.#engine.tokenize(job, signal)
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return this.#engine.detokenize(job, signal)
  }

  models(): Promise<ModelInfo[]> {
    return this.#engine.models()
  }

  async health(): Promise<EngineHealth> {
    const health = await this.#engine.health()
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
}

const shutDown = { kind: 'draining' as const, message: 'The server shut down before the end.' }

/** The same events, and an error in place of the end when the deadline has passed. */
async function* orShutDown(
  events: AsyncIterable<GenerateEvent[]>,
  signal: AbortSignal,
): AsyncGenerator<GenerateEvent[]> {
  let seq = 0
  try {
    for await (const batch of events) {
      seq += batch.length
      yield batch
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  if (signal.reason === shutDown) yield [{ v: 1, seq, kind: 'error', error: shutDown }]
}
