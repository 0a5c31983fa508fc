import type { Accepted, GenerateEvent } from './engine.ts'

/**
 * A run and its events, whose end is told once: when the events have ended, when it was aborted, or when it was not accepted.
 * One object, and the listener of its signal too: there are as many as there are streams.
 */
export class TrackedRun implements AsyncIterableIterator<GenerateEvent[]> {
  protected readonly signal: AbortSignal
  protected iterator: AsyncIterator<GenerateEvent[]> | undefined
  readonly #onEnd: () => void
  #hasEnded = false

  /** @param signal aborts the run */
  constructor(signal: AbortSignal, onEnd: () => void) {
    this.signal = signal
    this.#onEnd = onEnd
    // Not left to the events alone: nobody may ever ask for the first one.
    signal.addEventListener('abort', this)
  }

  /** @returns the run with these events in place of its own. @throws what `beginning` rejects with */
  async follow(beginning: Promise<Accepted>): Promise<Accepted> {
    try {
      const accepted = await beginning
      this.read(accepted.events)
      return { ...accepted, events: this }
    } catch (error) {
      this.end()
      throw error
    }
  }

  /** The listener of the signal. */
  handleEvent(): void {
    this.end()
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.signal.removeEventListener('abort', this)
    this.#onEnd()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  // `then` rather than `async`: half the memory of a step that is waited for, in each layer of each stream.
  next(): Promise<IteratorResult<GenerateEvent[]>> {
    if (this.iterator === undefined) throw new Error('the job has not been accepted')
    return this.iterator.next().then(this.#pass, this.#fail)
  }

  async return(): Promise<IteratorResult<GenerateEvent[]>> {
    this.end()
    await this.iterator?.return?.()
    return { done: true, value: undefined }
  }

  protected read(events: AsyncIterable<GenerateEvent[]>): void {
    this.iterator = events[Symbol.asyncIterator]()
  }

  protected pass(result: IteratorResult<GenerateEvent[]>): IteratorResult<GenerateEvent[]> {
    if (result.done) this.end()
    return result
  }

  protected fail(error: unknown): IteratorResult<GenerateEvent[]> {
    this.end()
    throw error
  }

  readonly #pass = (result: IteratorResult<GenerateEvent[]>) => this.pass(result)
  readonly #fail = (error: unknown) => this.fail(error)
}
