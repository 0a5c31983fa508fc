import { EngineError, type EngineErrorData, type GenerateEvent } from '../../edge/engine.ts'
import { type JobLog, sizeOf } from './jobLog.ts'

export interface JobLogLimits {
  /** Over all logs; a single one may take a quarter of it. */
  maxBytes: number
  maxLogs: number
  /** How long a log stays at least after its job has ended. */
  keepMs: number
  /** Monotonic milliseconds. */
  now: () => number
}

const DEFAULT_LIMITS: JobLogLimits = {
  // Ten minutes of 3,000 tokens a second.
  maxBytes: 256 * 2 ** 20,
  maxLogs: 20_000,
  keepMs: 10 * 60_000,
  now: () => performance.now(),
}

/** Logs by key, within bounds. Those of ended jobs go, the one that ended first before the others, when room is needed. */
export class JobLogs {
  readonly #limits: JobLogLimits
  readonly #logs = new Map<string, JobLog>()
  /** In the order in which they ended. */
  readonly #ended = new Map<string, JobLog>()
  #numBytes = 0

  constructor(limits: Partial<JobLogLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  get(key: string): JobLog | undefined {
    return this.#logs.get(key)
  }

  /** @throws EngineError `busy` when there is no room for one more, with the time after which there may be */
  reserve(): void {
    while (this.#logs.size >= this.#limits.maxLogs || this.#numBytes >= this.#limits.maxBytes) {
      if (this.#dropOldest()) continue
      const message = 'The server keeps as many background and resumable runs as it can.'
      const [oldest] = this.#ended.values()
      const freeMs = (oldest?.endedMs ?? this.#limits.now()) + this.#limits.keepMs
      throw new EngineError({
        kind: 'busy',
        message,
        retryAfterMs: Math.max(1000, Math.ceil(freeMs - this.#limits.now())),
      })
    }
  }

  add(key: string, log: JobLog): void {
    this.#logs.set(key, log)
  }

  /** @returns whether the events fit */
  append(log: JobLog, events: GenerateEvent[]): boolean {
    const bytes = sizeOf(events)
    if (log.numBytes + bytes > this.#limits.maxBytes / 4) return false
    while (this.#numBytes + bytes > this.#limits.maxBytes) if (!this.#dropOldest()) return false
    this.#numBytes += bytes
    log.append(events, bytes)
    return true
  }

  end(key: string, log: JobLog, error: EngineErrorData | undefined): void {
    const before = log.numBytes
    log.end(this.#limits.now(), error)
    this.#numBytes += log.numBytes - before
    this.#ended.set(key, log)
  }

  /** @returns false when there is none whose time is over */
  #dropOldest(): boolean {
    const [first] = this.#ended
    if (first === undefined) return false
    const [key, log] = first
    if (this.#limits.now() - (log.endedMs ?? 0) < this.#limits.keepMs) return false
    this.#ended.delete(key)
    this.#logs.delete(key)
    this.#numBytes -= log.numBytes
    return true
  }
}
