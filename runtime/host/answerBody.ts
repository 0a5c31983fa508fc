import type { Dispatcher } from 'undici'
import { concatBytes } from '../../edge/http/concatBytes.ts'
import type { ByteReader } from '../../edge/remote/engineFetch.ts'

/** What may wait for a reader; beyond it the stream's window closes, and the container pauses the job. */
const MAX_UNREAD_BYTES = 16 * 1024

type Read = Awaited<ReturnType<ByteReader['read']>>

interface WaitingRead {
  resolve(read: Read): void
  reject(error: Error): void
}

/**
 * The body of an answer, and the one reader of it. All that arrives in one turn of the event loop is read in one piece, so
 * that an edge with much to do gets more done at a time; and no more is taken in than is read. A `ReadableStream` would do
 * the same with 2 kB more for each stream.
 */
export class AnswerBody implements ByteReader {
  readonly #exchange: Dispatcher.DispatchController
  #unread: Uint8Array[] = []
  #numUnreadBytes = 0
  #waiting: WaitingRead | undefined
  #isDue = false
  #isPaused = false
  /** What follows the unread bytes. */
  #ending: ((waiting: WaitingRead) => void) | undefined

  constructor(exchange: Dispatcher.DispatchController) {
    this.#exchange = exchange
  }

  read(): Promise<Read> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#deliver()
    })
  }

  async cancel(reason?: unknown): Promise<void> {
    this.#unread = []
    this.#numUnreadBytes = 0
    this.#ending = close
    this.#deliver()
    this.#exchange.abort(new Error('The answer was not read.', { cause: reason }))
  }

  push(chunk: Uint8Array): void {
    this.#unread.push(chunk)
    this.#numUnreadBytes += chunk.length
    if (this.#numUnreadBytes >= MAX_UNREAD_BYTES && !this.#isPaused) {
      this.#isPaused = true
      this.#exchange.pause()
    }
    this.#deliverSoon()
  }

  end(): void {
    this.#ending ??= close
    this.#deliverSoon()
  }

  fail(error: Error): void {
    this.#ending ??= waiting => waiting.reject(error)
    this.#deliverSoon()
  }

  #deliverSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#deliver()
      if (this.#unread.length > 0) this.#unread = [concatBytes(this.#unread)]
    })
  }

  #deliver(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    if (this.#numUnreadBytes > 0) {
      this.#waiting = undefined
      waiting.resolve({ done: false, value: this.#take() })
    } else if (this.#ending) {
      this.#waiting = undefined
      this.#ending(waiting)
    }
  }

  #take(): Uint8Array {
    const [first] = this.#unread
    const bytes = first?.length === this.#numUnreadBytes ? first : concatBytes(this.#unread)
    this.#unread = []
    this.#numUnreadBytes = 0
    if (this.#isPaused) {
      this.#isPaused = false
      this.#exchange.resume()
    }
    return bytes
  }
}

function close(waiting: WaitingRead): void {
  waiting.resolve({ done: true, value: undefined })
}
