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

interface Entry {
  log: JobLog
  owner: string | undefined
}

/** What an owner has. */
interface Held {
  numLogs: number
  numEnded: number
  numBytes: number
}

const nothing: Held = { numLogs: 0, numEnded: 0, numBytes: 0 }

/**
 * Logs by key, within bounds. Those of ended jobs go, the one that ended first before the others, when room is needed: once
 * they have had their time, and sooner when somebody needs it who has less than their owner.
 */
export class JobLogs {
  readonly #limits: JobLogLimits
  readonly #logs = new Map<string, Entry>()
  /** In the order in which they ended. */
  readonly #ended = new Map<string, Entry>()
  /** By owner; those of nothing are not there. */
  readonly #held = new Map<string | undefined, Held>()
  #numBytes = 0

  constructor(limits: Partial<JobLogLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  get(key: string): JobLog | undefined {
    return this.#logs.get(key)?.log
  }

  /** @throws EngineError `busy` when there is no room for one more, with the time after which there may be */
  reserve(owner: string | undefined): void {
    while (this.#logs.size >= this.#limits.maxLogs || this.#numBytes >= this.#limits.maxBytes) {
      if (this.#makeRoom(owner)) continue
      const message = 'The server keeps as many background and resumable runs as it can.'
      const [oldest] = this.#ended.values()
      const freeMs = (oldest?.log.endedMs ?? this.#limits.now()) + this.#limits.keepMs
      throw new EngineError({
        kind: 'busy',
        message,
        retryAfterMs: Math.max(1000, Math.ceil(freeMs - this.#limits.now())),
      })
    }
  }

  add(key: string, owner: string | undefined, log: JobLog): void {
    this.#logs.set(key, { log, owner })
    this.#hold(owner, { numLogs: 1, numBytes: log.numBytes })
  }

  /** @returns whether the events fit */
  append(key: string, events: GenerateEvent[]): boolean {
    const { log, owner } = this.#entry(key)
    const bytes = sizeOf(events)
    const { maxBytes } = this.#limits
    if (log.numBytes + bytes > maxBytes / 4) return false
    while (this.#numBytes + bytes > maxBytes) if (!this.#makeRoom(owner)) return false
    this.#hold(owner, { numBytes: bytes })
    log.append(events, bytes)
    return true
  }

  end(key: string, error: EngineErrorData | undefined): void {
    const entry = this.#entry(key)
    const { log, owner } = entry
    const before = log.numBytes
    log.end(this.#limits.now(), error)
    this.#hold(owner, { numEnded: 1, numBytes: log.numBytes - before })
    this.#ended.set(key, entry)
  }

  #entry(key: string): Entry {
    const entry = this.#logs.get(key)
    if (entry === undefined) throw new Error(`there is no log of ${key}`)
    return entry
  }

  #hold(owner: string | undefined, more: Partial<Held>): void {
    const held = { ...(this.#held.get(owner) ?? nothing) }
    held.numLogs += more.numLogs ?? 0
    held.numEnded += more.numEnded ?? 0
    held.numBytes += more.numBytes ?? 0
    this.#numBytes += more.numBytes ?? 0
    if (held.numLogs === 0) this.#held.delete(owner)
    else this.#held.set(owner, held)
  }

  /** Drops a log, if there is one that may go. */
  #makeRoom(forOwner: string | undefined): boolean {
    const [oldest] = this.#ended
    if (oldest === undefined) return false
    const endedMs = oldest[1].log.endedMs ?? 0
    if (this.#limits.now() - endedMs >= this.#limits.keepMs) return this.#drop(...oldest)
    let from: { owner: string | undefined } | undefined
    let most = this.#share(this.#held.get(forOwner) ?? nothing)
    for (const [owner, held] of this.#held) {
      const share = this.#share(held)
      if (held.numEnded === 0 || share <= most) continue
      from = { owner }
      most = share
    }
    if (from === undefined) return false
    for (const ended of this.#ended) if (ended[1].owner === from.owner) return this.#drop(...ended)
    return false
  }

  #share({ numLogs, numBytes }: Held): number {
    const { maxLogs, maxBytes } = this.#limits
    return Math.max(numLogs / maxLogs, numBytes / maxBytes)
  }

  #drop(key: string, { log, owner }: Entry): true {
    this.#ended.delete(key)
    this.#logs.delete(key)
    this.#hold(owner, { numLogs: -1, numEnded: -1, numBytes: -log.numBytes })
    return true
  }
}
