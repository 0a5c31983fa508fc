import { Worker } from 'node:worker_threads'
import { EngineError } from '../../edge/engine.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { requestChars } from './requestChars.ts'
import {
  fromErrorData,
  type TextReply,
  type TextRequest,
  type TextResults,
} from './textProtocol.ts'

/** Far more than the largest vocabulary takes to load, and a hundred times what tokenizing or rendering does. */
const patience = { loadMs: 60_000, callMs: 10_000, msPerChar: 0.01 }

/** Time for a call; a hostile template or pattern would take as long as it likes. */
function limitMs(request: TextRequest): number {
  return request.op === 'load'
    ? patience.loadMs
    : patience.callMs + requestChars(request) * patience.msPerChar
}

export interface CallOptions {
  /** Aborting it rejects the call at once. */
  signal?: AbortSignal | undefined
  isUrgent?: boolean
}

interface PendingCall {
  id: number
  request: TextRequest
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
  /** Undoes the listening to the caller's signal. */
  release: () => void
}

/**
 * Requests to the worker, one at a time, so that an aborted one that has not begun costs nothing. A call that takes too long or
 * takes the worker down fails alone: a new worker loads the same model, and the calls behind it go on.
 */
export class WorkerCalls {
  #worker: Worker
  #waiting: PendingCall[] = []
  #current: PendingCall | undefined
  #nextId = 0
  /** What a new worker has to do first; absent until it has worked once. */
  #load: TextRequest | undefined
  #failure: Error | undefined
  readonly #lost = Promise.withResolvers<Error>()
  #timer: NodeJS.Timeout | undefined
  readonly #path: string

  /** @param path names the model's tokenizer in errors */
  constructor(path: string) {
    this.#path = path
    this.#worker = this.#start()
  }

  /** Settles when it had loaded the model, and could not load it again for a new worker. */
  get lost(): Promise<Error> {
    return this.#lost.promise
  }

  /** A call need not wait for the model to load. */
  get isLoaded(): boolean {
    return this.#load !== undefined && this.#failure === undefined
  }

  /** Why it takes no more calls; those that waited are rejected with it. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Nothing is under way or waits. */
  get isIdle(): boolean {
    return this.#current === undefined
  }

  /** @param isUrgent goes before what waits */
  call<R extends TextRequest>(
    request: R,
    { signal, isUrgent = false }: CallOptions = {},
  ): Promise<TextResults[R['op']]> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (this.#failure) return reject(this.#failure)
      const onAbort = () => {
        this.#waiting = this.#waiting.filter(other => other !== call)
        reject(signal?.reason)
      }
      const call: PendingCall = {
        id: this.#nextId++,
        request,
        resolve: resolve as (value: unknown) => void,
        reject,
        release: () => signal?.removeEventListener('abort', onAbort),
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (isUrgent) this.#waiting.unshift(call)
      else this.#waiting.push(call)
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#fail(new EngineError({ kind: 'unavailable', message: 'The model was unloaded.' }))
    await this.#worker.terminate()
  }

  #start(): Worker {
    const worker = new Worker(new URL('./textWorker.ts', import.meta.url), { name: 'text' })
    // What a worker that was given up still says is nobody's answer.
    const heard =
      <T>(listen: (value: T) => void) =>
      (value: T) => {
        if (worker === this.#worker) listen(value)
      }
    worker.unref()
    worker.on(
      'message',
      heard((reply: TextReply) => this.#settle(reply)),
    )
    worker.on(
      'messageerror',
      heard((error: Error) => this.#giveUp(error)),
    )
    worker.on(
      'error',
      heard(error => this.#giveUp(new Error('the text worker failed', { cause: error }))),
    )
    worker.on(
      'exit',
      heard((code: number) => this.#giveUp(new Error(`the text worker ended with code ${code}`))),
    )
    return worker
  }

  #next(): void {
    if (this.#current !== undefined) return
    const call = this.#waiting.shift()
    if (call === undefined) {
      // An idle worker must not keep the process alive; one that owes an answer must.
      this.#worker.unref()
      return
    }
    this.#current = call
    this.#worker.ref()
    this.#worker.postMessage({ id: call.id, request: call.request })
    const ms = limitMs(call.request)
    this.#timer = setTimeout(() => {
      const reason = `its tokenizer or chat template did not come to an end in ${Math.round(ms / 1000)} s`
      this.#giveUp(new FileFormatError(this.#path, reason))
    }, ms)
  }

  #settle(reply: TextReply): void {
    const call = this.#current
    if (call?.id !== reply.id) return
    this.#endCurrent()
    const isLoad = call.request.op === 'load'
    if ('error' in reply) {
      const error = fromErrorData(reply.error)
      call.reject(error)
      // What waits for the model would only be told that there is none.
      if (isLoad) this.#fail(error)
    } else {
      if (isLoad) this.#load = call.request
      call.resolve(reply.value)
    }
    this.#next()
  }

  /** Ends the worker and the call it is at; with a model that has loaded before, the others get a new worker. */
  #giveUp(error: Error): void {
    const load = this.#load
    const call = this.#current
    if (this.#failure !== undefined) return
    if (load === undefined) {
      this.#fail(error)
      return
    }
    if (call?.request === load) {
      this.#lose(error)
      return
    }
    this.#endCurrent()
    call?.reject(error)
    void this.#worker.terminate()
    try {
      this.#worker = this.#start()
    } catch (cause) {
      // There may be no more threads.
      this.#lose(cause)
      return
    }
    this.#waiting.unshift({
      id: this.#nextId++,
      request: load,
      resolve: () => {},
      reject: cause => this.#lose(cause),
      release: () => {},
    })
    this.#next()
  }

  #lose(cause: unknown): void {
    if (this.#failure !== undefined) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `The text worker ended and could not restart: ${reason}`
    const error = new EngineError({ kind: 'unavailable', message }, { cause })
    this.#fail(error)
    this.#lost.resolve(error)
  }

  #endCurrent(): void {
    clearTimeout(this.#timer)
    this.#current?.release()
    this.#current = undefined
  }

  #fail(error: Error): void {
    this.#failure ??= error
    const calls = this.#current ? [this.#current, ...this.#waiting] : this.#waiting
    this.#endCurrent()
    this.#waiting = []
    for (const call of calls) {
      call.release()
      call.reject(this.#failure)
    }
    void this.#worker.terminate()
  }
}
