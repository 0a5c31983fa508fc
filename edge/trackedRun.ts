import type { Accepted, GenerateEvent } from './engine.ts'

/**
 * Calls `onEnd` once for a run that begins: when its events have ended, when it was aborted, or when it was not accepted.
 * @throws what `beginning` rejects with
 */
export async function trackRun(
  beginning: Promise<Accepted>,
  signal: AbortSignal,
  onEnd: () => void,
): Promise<Accepted> {
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    signal.removeEventListener('abort', end)
    onEnd()
  }
  // Not left to the events alone: nobody may ever ask for the first one.
  signal.addEventListener('abort', end)
  try {
    const accepted = await beginning
    return { ...accepted, events: new TrackedEvents(accepted.events, end) }
  } catch (error) {
    end()
    throw error
  }
}

/** The same events, and `end` called after them. */
class TrackedEvents implements AsyncIterableIterator<GenerateEvent[]> {
  readonly #iterator: AsyncIterator<GenerateEvent[]>
  readonly #end: () => void

  constructor(events: AsyncIterable<GenerateEvent[]>, end: () => void) {
    this.#iterator = events[Symbol.asyncIterator]()
    this.#end = end
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  // `then` rather than `async`: half the memory of a step that is waited for, in each layer of each stream.
  next(): Promise<IteratorResult<GenerateEvent[]>> {
    return this.#iterator.next().then(this.#pass, this.#fail)
  }

  async return(): Promise<IteratorResult<GenerateEvent[]>> {
    this.#end()
    await this.#iterator.return?.()
    return { done: true, value: undefined }
  }

  readonly #pass = (result: IteratorResult<GenerateEvent[]>) => {
    if (result.done) this.#end()
    return result
  }

  readonly #fail = (error: unknown): never => {
    this.#end()
    throw error
  }
}
