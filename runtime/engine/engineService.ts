import {
  EngineError,
  type EngineErrorData,
  type EngineHealth,
  type ModelInfo,
  type ModelMetrics,
} from '../../edge/engine.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { isDeviceLost } from './deviceLoss.ts'

/** What the periodic log line and the metrics are made of, beside what a scheduler counts. */
export type EngineStats = Scheduler['counters'] &
  Pick<EngineHealth, 'running' | 'waiting' | 'kvPagesUsed' | 'kvPagesTotal'>

/** Whether an engine takes work, how much it has, and how what it took has ended: what engines of every kind share. */
export class EngineService {
  readonly #info: ModelInfo
  readonly #scheduler: Scheduler
  readonly #capacity: number
  /** Sequences by how they ended, and jobs by the kind of error that refused them. */
  readonly #completed = new Map<string, number>()
  readonly #rejected = new Map<string, number>()
  readonly #idleWaiters: (() => void)[] = []
  readonly #lost = Promise.withResolvers<Error>()
  #state: 'ready' | 'draining' | 'failed' | 'disposed' = 'ready'
  #failure = ''

  /** @param capacity sequences that run at once */
  constructor(info: ModelInfo, scheduler: Scheduler, capacity: number) {
    this.#info = info
    this.#scheduler = scheduler
    this.#capacity = capacity
  }

  /** Settles, with the error that said so, when something broke that only a new process can have again. */
  get lost(): Promise<Error> {
    return this.#lost.promise
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** Steps may be run: neither failed nor disposed of. */
  get isAlive(): boolean {
    return this.#state === 'ready' || this.#state === 'draining'
  }

  /** @throws EngineError unless a job of this owner can be taken */
  checkReady(owner: string | undefined): void {
    if (this.#state === 'draining') {
      throw new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
    }
    if (this.#state !== 'ready') {
      const message = `The model is not available${this.#failure && `: ${this.#failure}`}.`
      throw new EngineError({ kind: 'unavailable', message })
    }
    if (this.#scheduler.isFull(owner)) {
      throw new EngineError({
        kind: 'busy',
        message: `${this.#scheduler.numWaitingOf(owner)} of your requests are waiting already.`,
        retryAfterMs: this.#scheduler.retryAfterMs(owner),
      })
    }
  }

  /** Runs the admission of a job and counts a refusal. */
  async admit<T>(admission: () => Promise<T>): Promise<T> {
    try {
      return await admission()
    } catch (error) {
      if (error instanceof EngineError) count(this.#rejected, error.kind)
      throw error
    }
  }

  /** Counts sequences that have ended: a finish reason, `aborted` or `error`. */
  completed(how: string, numSequences = 1): void {
    count(this.#completed, how, numSequences)
  }

  models(): ModelInfo[] {
    return [{ ...this.#info, status: this.#state === 'failed' ? 'failed' : this.#info.status }]
  }

  health(): EngineHealth {
    const { running, waiting, kvPagesUsed, kvPagesTotal } = this.stats()
    const state = this.#state
    return {
      ready: state === 'ready',
      ...(state === 'draining' && { reason: 'draining' as const }),
      ...((state === 'failed' || state === 'disposed') && { reason: 'failed' as const }),
      ...(this.#failure !== '' && { detail: this.#failure }),
      running,
      waiting,
      kvPagesUsed,
      kvPagesTotal,
    }
  }

  stats(): EngineStats {
    return {
      running: this.#scheduler.numRunning,
      waiting: this.#scheduler.numWaiting,
      kvPagesUsed: this.#scheduler.pool.numUsed,
      kvPagesTotal: this.#scheduler.pool.numPages,
      ...this.#scheduler.counters,
    }
  }

  metrics(): ModelMetrics[] {
    const { steps: _steps, ...counts } = this.stats()
    return [
      {
        model: this.#info.id,
        capacity: this.#capacity,
        ...counts,
        completed: Object.fromEntries(this.#completed),
        rejected: Object.fromEntries(this.#rejected),
      },
    ]
  }

  /**
   * Refuses new jobs and waits for the accepted ones.
   * @param isIdle whether none is left already
   * @param endAll ends those not done after `deadlineMs`
   */
  async drain(
    deadlineMs: number,
    isIdle: boolean,
    endAll: (error: EngineErrorData) => void,
  ): Promise<void> {
    if (this.#state === 'ready') this.#state = 'draining'
    if (isIdle) return
    const timeout = setTimeout(() => {
      endAll({ kind: 'draining', message: 'The server shut down before the end.' })
    }, deadlineMs)
    await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
    clearTimeout(timeout)
  }

  /** Says that no accepted job is left. */
  idle(): void {
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }

  /** @returns what to tell the jobs, the first time */
  dispose(): EngineErrorData | undefined {
    if (this.#state === 'disposed') return undefined
    this.#state = 'disposed'
    return { kind: 'unavailable', message: 'The model was unloaded.' }
  }

  /**
   * The executor or the bookkeeping broke, and nothing it would say can be trusted any more, or there is no text worker.
   * @returns what to tell the jobs; undefined when it was on its way out anyhow
   */
  fail(error: unknown, isLost = isDeviceLost(error)): EngineErrorData | undefined {
    if (this.#state === 'disposed') return undefined
    this.#state = 'failed'
    this.#failure ||= error instanceof Error ? error.message : String(error)
    if (isLost && error instanceof Error) this.#lost.resolve(error)
    return { kind: 'internal', message: `The engine failed: ${this.#failure}` }
  }
}

function count(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
