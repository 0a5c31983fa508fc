import type { GenerateEvent } from '../../edge/engine.ts'

/** An event without what the queue adds. */
export type EventBody = GenerateEvent extends infer E
  ? E extends GenerateEvent
    ? Omit<E, 'v' | 'seq'>
    : never
  : never

const maxUnsentEvents = 256
const maxUnsentBytes = 64 * 1024

/**
 * The events of a job on their way to its one reader. Events pushed together reach a waiting reader together; a reader
 * that lags gets all that gathered in one item.
 */
export class EventQueue implements AsyncIterable<GenerateEvent[]> {
  readonly #onDrained: () => void
  readonly #onReturn: () => void
  #unsent: GenerateEvent[] = []
  #unsentBytes = 0
  #seq = 0
  #closed = false
  #taken = false
  #waiting: ((result: IteratorResult<GenerateEvent[]>) => void) | undefined

  /** @param onDrained the reader took everything; @param onReturn it left before the end */
  constructor(onDrained: () => void, onReturn: () => void) {
    this.#onDrained = onDrained
    this.#onReturn = onReturn
  }

  /** True when the reader is so far behind that nothing more should be made for it. */
  get isFull(): boolean {
    return this.#unsent.length >= maxUnsentEvents || this.#unsentBytes >= maxUnsentBytes
  }

  /** Adds an event; it is not sent before `flush`. */
  push(body: EventBody): void {
    if (this.#closed) return
    this.#unsent.push({ v: 1, seq: this.#seq++, ...body } as GenerateEvent)
    this.#unsentBytes += estimateBytes(body)
  }

  /** Hands what was pushed to a waiting reader. */
  flush(): void {
    if (this.#waiting === undefined) return
    if (this.#unsent.length > 0) this.#settle({ done: false, value: this.#take() })
    else if (this.#closed) this.#settle({ done: true, value: undefined })
  }

  /** Ends the stream after what was pushed. */
  close(): void {
    this.#closed = true
    this.flush()
  }

  /** Ends the stream at once. */
  abandon(): void {
    this.#unsent = []
    this.close()
  }

  [Symbol.asyncIterator](): AsyncIterator<GenerateEvent[]> {
    if (this.#taken) throw new Error('the events of a job can be read once')
    this.#taken = true
    return {
      next: () => {
        if (this.#unsent.length > 0) return Promise.resolve({ done: false, value: this.#take() })
        if (this.#closed) return Promise.resolve({ done: true, value: undefined })
        return new Promise(resolve => {
          this.#waiting = resolve
        })
      },
      return: () => {
        if (!this.#closed) this.#onReturn()
        this.abandon()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  #settle(result: IteratorResult<GenerateEvent[]>): void {
    const resolve = this.#waiting
    this.#waiting = undefined
    resolve?.(result)
  }

  #take(): GenerateEvent[] {
    const events = this.#unsent
    const wasFull = this.isFull
    this.#unsent = []
    this.#unsentBytes = 0
    if (wasFull) this.#onDrained()
    return events
  }
}

/** Near enough to the length of the JSON, without making it. */
function estimateBytes(body: EventBody): number {
  let bytes = 48
  if ('text' in body) bytes += body.text.length
  if ('logprobs' in body) {
    for (const { top } of body.logprobs ?? []) bytes += 80 * (1 + top.length)
  }
  return bytes
}
