import type { Accepted, EngineErrorData, GenerateEvent } from '../../edge/engine.ts'

/** Everything about an accepted job but its events. */
export type JobHead = Omit<Accepted, 'events' | 'lastSeq'>

/** The events of one detached job, which any number of readers follow at their own pace. */
export class JobLog {
  readonly #head: JobHead
  readonly #events: GenerateEvent[] = []
  #numBytes = 0
  #endedMs: number | undefined
  #news = Promise.withResolvers<void>()

  constructor(head: JobHead) {
    this.#head = head
  }

  get numBytes(): number {
    return this.#numBytes
  }

  /** When the job ended; undefined while it runs. */
  get endedMs(): number | undefined {
    return this.#endedMs
  }

  append(events: GenerateEvent[], numBytes = sizeOf(events)): void {
    this.#events.push(...events)
    this.#numBytes += numBytes
    this.#tell()
  }

  /** Ends the log, with an error in place of an end that never came. */
  end(nowMs: number, error?: EngineErrorData): void {
    if (error !== undefined) {
      this.append([{ v: 1, seq: this.#events.length, kind: 'error', error }])
    }
    this.#endedMs = nowMs
    this.#tell()
  }

  /** @param after `seq` of the last event the reader has */
  read(after: number, signal: AbortSignal): Accepted {
    return {
      ...this.#head,
      lastSeq: this.#events.length - 1,
      events: this.#follow(after + 1, signal),
    }
  }

  async *#follow(first: number, signal: AbortSignal): AsyncGenerator<GenerateEvent[]> {
    const abort = () => this.#tell()
    signal.addEventListener('abort', abort)
    try {
      for (let next = first; !signal.aborted; ) {
        const events = this.#events.slice(next)
        next += events.length
        if (events.length > 0) yield events
        else if (this.#endedMs !== undefined) return
        else await this.#news.promise
      }
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}

/** What events hold in memory, near enough: objects of a few fields and their texts. */
export function sizeOf(events: GenerateEvent[]): number {
  let bytes = 0
  for (const event of events) {
    bytes += 100
    if ('text' in event) bytes += event.text.length
    if ('arguments' in event) bytes += event.arguments.length
    if (!('logprobs' in event)) continue
    for (const { top } of event.logprobs ?? []) bytes += 150 * (1 + top.length)
  }
  return bytes
}
