import type { UnderlyingDefaultSource } from 'node:stream/web'
import type { Dispatcher } from 'undici'

/** What may wait for a reader; beyond it the stream's window closes, and the container pauses the job. */
const MAX_UNREAD_BYTES = 16 * 1024

/**
 * The source of a `ReadableStream` for the body of an answer. All that arrives in one turn of the event loop reaches the
 * reader in one piece, so that an edge with much to do gets more done at a time; and no more is taken in than is read.
 */
export class AnswerBody implements UnderlyingDefaultSource<Uint8Array> {
  readonly #exchange: Dispatcher.DispatchController
  #unread: Uint8Array[] = []
  #numUnreadBytes = 0
  /** There while it waits for bytes. */
  #reader: ReadableStreamDefaultController<Uint8Array> | undefined
  #isDue = false
  #isPaused = false
  /** What follows the unread bytes. */
  #ending: ((reader: ReadableStreamDefaultController<Uint8Array>) => void) | undefined

  constructor(exchange: Dispatcher.DispatchController) {
    this.#exchange = exchange
  }

  pull(reader: ReadableStreamDefaultController<Uint8Array>): void {
    this.#reader = reader
    this.#deliver()
  }

  cancel(reason: unknown): void {
    this.#unread = []
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
    this.#ending = reader => reader.close()
    this.#deliverSoon()
  }

  fail(error: Error): void {
    this.#ending = reader => reader.error(error)
    this.#deliverSoon()
  }

  #deliverSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#deliver()
      // A copy: chunks are pieces of read buffers of 64 kB, which live as long as a piece does.
      if (this.#unread.length > 0) this.#unread = [joined(this.#unread)]
    })
  }

  #deliver(): void {
    const reader = this.#reader
    if (reader === undefined) return
    if (this.#numUnreadBytes > 0) {
      this.#reader = undefined
      reader.enqueue(this.#take())
    } else if (this.#ending) {
      this.#reader = undefined
      this.#ending(reader)
    }
  }

  #take(): Uint8Array {
    const [first] = this.#unread
    const bytes = first?.length === this.#numUnreadBytes ? first : joined(this.#unread)
    this.#unread = []
    this.#numUnreadBytes = 0
    if (this.#isPaused) {
      this.#isPaused = false
      this.#exchange.resume()
    }
    return bytes
  }
}

/** Not in the pool of `Buffer.concat`, whose blocks live as long as a piece of them does. */
function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
