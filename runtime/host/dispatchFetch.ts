import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { concatBytes } from '../../edge/http/concatBytes.ts'
import type { ByteReader, EngineRequest, EngineResponse } from '../../edge/remote/engineFetch.ts'
import { AnswerBody } from './answerBody.ts'

/**
 * One request over undici, whose answer is read no faster than it is asked for. undici's own `fetch` and `request` read
 * ahead, and what they hold are pieces of read buffers of 64 kB, which live as long as a piece does.
 * @param url its path is used; the dispatcher knows the rest
 */
export function dispatchFetch(
  dispatcher: Dispatcher,
  url: string,
  { method, headers, body, signal }: EngineRequest,
): Promise<EngineResponse> {
  const { pathname, search } = new URL(url)
  const path = pathname + search
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(signal, resolve, reject)
    dispatcher.dispatch({ path, method, ...requestOf(headers, body) }, exchange)
  })
}

function requestOf(
  headers: Record<string, string>,
  text: string | undefined,
): Pick<Dispatcher.DispatchOptions, 'headers' | 'body'> {
  if (text === undefined) return { headers }
  // undici takes iterables; its types (8.12) do not say so.
  const body = new SentOnce(text) as Iterable<string> as Readable & Iterable<string>
  return { headers: { ...headers, 'content-length': `${Buffer.byteLength(text)}` }, body }
}

/** A body that is let go of when it is sent: what undici gets in one piece it keeps for as long as the answer takes. */
class SentOnce implements IterableIterator<string> {
  #text: string | undefined

  constructor(text: string) {
    this.#text = text
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<string> {
    const value = this.#text
    this.#text = undefined
    return value === undefined ? { done: true, value } : { done: false, value }
  }
}

/** What undici tells of a request; one object, as thousands of them may be there at a time. */
class Exchange implements Dispatcher.DispatchHandler {
  #signal: AbortSignal | undefined
  readonly #resolve: (response: EngineResponse) => void
  readonly #reject: (error: Error) => void
  #controller: Dispatcher.DispatchController | undefined
  #answer: AnswerBody | undefined

  constructor(
    signal: AbortSignal,
    resolve: (response: EngineResponse) => void,
    reject: (error: Error) => void,
  ) {
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
    signal.addEventListener('abort', this)
  }

  /** The listener of the signal. */
  handleEvent(): void {
    const error = new Error('The request was aborted.', { cause: this.#signal?.reason })
    this.#reject(error)
    this.#controller?.abort(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#signal?.aborted) this.handleEvent()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // Informational; the answer is still to come.
    if (status < 200) return
    const answer = new AnswerBody(controller)
    this.#answer = answer
    const getReader = () => {
      this.#detach()
      return answer
    }
    this.#resolve({ status, body: { getReader }, text: () => readText(answer) })
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#answer?.push(chunk)
  }

  onResponseEnd(): void {
    this.#detach()
    this.#answer?.end()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#detach()
    this.#reject(error)
    this.#answer?.fail(error)
  }

  /** What reads an answer cancels it: its signal need not stay for as long as a stream does. */
  #detach(): void {
    this.#signal?.removeEventListener('abort', this)
    this.#signal = undefined
  }
}

async function readText(reader: ByteReader): Promise<string> {
  const parts: Uint8Array[] = []
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return new TextDecoder().decode(concatBytes(parts))
    parts.push(value)
  }
}
