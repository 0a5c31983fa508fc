import type { Accepted, GenerateEvent } from '../engine.ts'
import { parseJsonObject } from '../jsonObject.ts'
import type { ByteReader, EngineResponse } from './engineFetch.ts'
import { LineSplitter } from './lineSplitter.ts'
import { ConnectionError, unavailable } from './remoteErrors.ts'

/** Room for the logprobs of a whole prefill chunk (4096 tokens, 20 alternatives, 100 bytes each) in one event. */
const MAX_LINE_BYTES = 32 * 2 ** 20

/** How long to wait for the end of a body that has said all; a connection that is cut off cannot be used again. */
const END_GRACE_MS = 1000

const LOST = 'The connection to the engine was lost.'

const END: IteratorResult<GenerateEvent[]> = { done: true, value: undefined }

/** The lines of a response body, as many at a time as have arrived. */
export class LineReader {
  readonly #reader: ByteReader
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES)
  #unread: string[] = []

  constructor(reader: ByteReader) {
    this.#reader = reader
  }

  /** @returns at least one line, empty ones included, or undefined at the end. Rejects as the body does, and as `LineSplitter.push` throws. */
  next(): Promise<string[] | undefined> {
    if (this.#unread.length > 0) return Promise.resolve(this.#unread.splice(0))
    return this.#reader.read().then(this.#split)
  }

  // `then` rather than `async`: half the memory of a step that is waited for, in each stream.
  readonly #split = ({ done, value }: Awaited<ReturnType<ByteReader['read']>>) => {
    if (done) return undefined
    const lines = this.#splitter.push(value)
    return lines.length > 0 ? lines : this.next()
  }

  /** Lets go of the body; a read that waits ends. */
  cancel(): void {
    this.#reader.cancel().catch(() => {})
  }

  /** Gives lines back that belong to somebody else. */
  unread(lines: string[]): void {
    this.#unread = lines
  }
}

/**
 * Reads the first line of an accepted job.
 * @param signal gives up; what follows is cancelled by its reader
 * @throws ConnectionError when the body breaks off before it, EngineError `unavailable` when it is something else
 */
export async function openEventStream(
  body: EngineResponse['body'],
  signal: AbortSignal,
): Promise<{ accepted: Omit<Accepted, 'events'>; lines: LineReader }> {
  const lines = body === null ? undefined : new LineReader(body.getReader())
  signal.addEventListener('abort', () => lines?.cancel())
  const [first, ...rest] = (await lines?.next().catch(lost)) ?? []
  if (lines === undefined || first === undefined) throw lost()
  const accepted = parseJsonObject(first) as Partial<Accepted> | undefined
  if (typeof accepted?.jobId !== 'string' || typeof accepted.model !== 'string') {
    throw unavailable('The engine answered in an unknown format.')
  }
  const { jobId, model, fingerprint = null, lastSeq } = accepted
  const { promptTokens = 0, cachedTokens = 0, queuePosition = 0 } = accepted
  lines.unread(rest)
  return {
    accepted: {
      jobId,
      model,
      fingerprint,
      promptTokens,
      cachedTokens,
      queuePosition,
      ...(lastSeq !== undefined && { lastSeq }),
    },
    lines,
  }
}

function lost(cause?: unknown): never {
  // A limit that was exceeded or bytes that are not text will be so again.
  if (cause instanceof RangeError) throw unavailable('The engine sent a line that is too long.')
  throw new ConnectionError(LOST, cause)
}

export interface RemoteEventStreamOptions {
  /** `seq` of the first event. */
  firstSeq: number
  /** Ends the request, and so the job. */
  signal: AbortSignal
  lostAfterMs: number
}

/**
 * The events of a job that runs elsewhere. Pulled by its reader, so a slow reader slows the connection's stream; every end
 * but the one the contract names becomes an `error` event.
 */
export class RemoteEventStream implements AsyncIterableIterator<GenerateEvent[]> {
  readonly #lines: LineReader
  readonly #signal: AbortSignal
  readonly #lostAfterMs: number
  #seq: number
  #ended = false
  #taken = false
  /** When the reader began to wait for lines; undefined while it does not. */
  #waitingSinceMs: number | undefined
  #silence: ReturnType<typeof setTimeout> | undefined
  #isLost = false

  /** @param lines what follows the first one */
  constructor(lines: LineReader, { firstSeq, signal, lostAfterMs }: RemoteEventStreamOptions) {
    this.#lines = lines
    this.#signal = signal
    this.#lostAfterMs = lostAfterMs
    this.#seq = firstSeq
    // Not left to the next pull: nobody may ever ask for it.
    signal.addEventListener('abort', this)
    if (signal.aborted) this.handleEvent()
  }

  /** The listener of the signal. */
  handleEvent(): void {
    this.#end()
    this.#lines.cancel()
  }

  [Symbol.asyncIterator](): this {
    if (this.#taken) throw new Error('the events of a job can be read once')
    this.#taken = true
    return this
  }

  // `then` rather than `async`: less than half the memory of a step that is waited for, in each stream.
  next(): Promise<IteratorResult<GenerateEvent[]>> {
    if (this.#ended) return Promise.resolve(END)
    this.#silence ??= setTimeout(this.#watchSilence, this.#lostAfterMs)
    this.#waitingSinceMs = performance.now()
    return this.#lines.next().then(this.#take, this.#lose)
  }

  async return(): Promise<IteratorResult<GenerateEvent[]>> {
    if (!this.#ended) this.handleEvent()
    return END
  }

  readonly #take = (lines: string[] | undefined) =>
    this.#pass(
      lines === undefined
        ? this.#fail(this.#isLost ? LOST : 'The engine ended its answer early.')
        : this.#parse(lines),
    )

  readonly #lose = () => this.#pass(this.#fail(LOST))

  #pass(events: GenerateEvent[]) {
    this.#waitingSinceMs = undefined
    return events.length > 0 ? { done: false, value: events } : this.next()
  }

  /** Ends the run after a silence that only a lost engine keeps. One timer that looks back, rather than one per read. */
  readonly #watchSilence = () => {
    const silentMs = performance.now() - (this.#waitingSinceMs ?? performance.now())
    if (silentMs < this.#lostAfterMs) {
      this.#silence = setTimeout(this.#watchSilence, this.#lostAfterMs - silentMs)
      return
    }
    this.#isLost = true
    this.#lines.cancel()
  }

  /** Up to the event that ends the run; what cannot be read becomes that event. */
  #parse(lines: string[]): GenerateEvent[] {
    if (this.#ended) return []
    const events: GenerateEvent[] = []
    for (const line of lines) {
      if (line === '') continue
      const event = parseJsonObject(line) as GenerateEvent | undefined
      if (event?.seq !== this.#seq || typeof event.kind !== 'string') {
        return [...events, ...this.#fail('The engine sent an event that cannot be read.')]
      }
      this.#seq++
      events.push(event)
      if (event.kind === 'usage' || event.kind === 'error') {
        this.#end()
        this.#readToEnd()
        break
      }
    }
    return events
  }

  /** After an abort nobody wants to hear of it. */
  #fail(message: string): GenerateEvent[] {
    if (this.#ended) return []
    const error = { kind: 'unavailable' as const, message }
    this.handleEvent()
    return [{ v: 1, seq: this.#seq, kind: 'error', error }]
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#silence)
    this.#signal.removeEventListener('abort', this)
  }

  /** Lets the connection be used again, or cuts it when the other side has more to say than it should. */
  #readToEnd(): void {
    const timer = setTimeout(() => this.#lines.cancel(), END_GRACE_MS)
    const finish = async () => {
      while ((await this.#lines.next()) !== undefined);
    }
    finish()
      .catch(() => {})
      .finally(() => clearTimeout(timer))
  }
}
