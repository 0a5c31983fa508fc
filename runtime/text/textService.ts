import { Worker } from 'node:worker_threads'
import type { ChatPrompt } from '../../edge/engine.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { contentText } from './chat/chatMessages.ts'
import {
  fromErrorData,
  type TextInfo,
  type TextReply,
  type TextRequest,
  type TextResults,
} from './textProtocol.ts'
import type { TextSource } from './textSource.ts'
import { Detokenizer } from './tokenizer/detokenizer.ts'
import type { FimTokens } from './tokenizer/fimTokens.ts'
import type { EncodeOptions } from './tokenizer/tokenizer.ts'
import { pieceBytes, type TokenPieces, tokenFlag } from './tokenizer/tokenPieces.ts'

export interface TextLoadOptions {
  source: TextSource
  /** Text of a Jinja template to use instead of the model's. */
  chatTemplateOverride?: string
  signal?: AbortSignal
}

/** A prompt that has no ids yet. */
export type PromptText = ChatPrompt | { kind: 'text'; text: string; addSpecialTokens?: boolean }

/**
 * Templates and tokenization of one model, done on a thread of their own; what is needed for every generated token
 * (bytes of a token, detokenizing) is kept here. Aborting a call rejects it at once with the signal's reason.
 */
export class TextService {
  readonly vocabSize: number
  readonly bosId: number | undefined
  readonly eosId: number | undefined
  /** Ids that end generation as far as tokenizer and GGUF metadata tell. */
  readonly endIds: readonly number[]
  /** Texts of the model's chat templates, none for a model without. */
  readonly templates: readonly string[]
  /** undefined: the model does not fill in the middle. */
  readonly fim: FimTokens | undefined
  readonly #info: TextInfo
  readonly #calls: WorkerCalls

  private constructor(calls: WorkerCalls, info: TextInfo) {
    this.#calls = calls
    this.#info = info
    this.vocabSize = info.pieces.flags.length
    this.bosId = info.bosId
    this.eosId = info.eosId
    this.endIds = info.endIds
    this.templates = info.templates
    this.fim = info.fim
  }

  /** Starts the thread and loads a model's text files. @throws FileFormatError naming a broken or missing file */
  static async load(options: TextLoadOptions): Promise<TextService> {
    const { source, chatTemplateOverride, signal } = options
    const calls = new WorkerCalls(source.kind === 'gguf' ? source.path : source.dir)
    try {
      const info = await calls.call(
        { op: 'load', source, ...(chatTemplateOverride !== undefined && { chatTemplateOverride }) },
        signal,
      )
      return new TextService(calls, info)
    } catch (error) {
      await calls.close()
      throw error
    }
  }

  /** The text of a conversation. @throws ChatTemplateError when the template refuses or there is none */
  render(prompt: ChatPrompt, signal?: AbortSignal): Promise<string> {
    return this.#calls.call({ op: 'render', prompt }, signal)
  }

  encode(text: string, options: EncodeOptions, signal?: AbortSignal): Promise<Int32Array> {
    return this.#calls.call({ op: 'encode', text, options }, signal)
  }

  /**
   * Prompt ids. Conversations carry their special tokens through the template, and begin as every text does, once; plain text
   * gets those the tokenizer adds, by default.
   * @throws ChatTemplateError
   */
  promptTokens(prompt: PromptText, signal?: AbortSignal): Promise<Int32Array> {
    if (prompt.kind === 'chat') return this.#calls.call({ op: 'encodeChat', prompt }, signal)
    return this.encode(prompt.text, { addSpecialTokens: prompt.addSpecialTokens ?? true }, signal)
  }

  /** Ids of tokens by their text, undefined where there is none. */
  tokenIds(contents: string[], signal?: AbortSignal): Promise<(number | undefined)[]> {
    return this.#calls.call({ op: 'tokenIds', contents }, signal)
  }

  /** Name of the format of calls in which prompts tell of tools; undefined where the chat template shows them, or is none. */
  describedCalls(signal?: AbortSignal): Promise<string | undefined> {
    return this.#calls.call({ op: 'describedCalls' }, signal)
  }

  /** Tokens that hold one of the texts, for the sequence breakers of DRY. */
  breakerTokens(texts: string[], signal?: AbortSignal): Promise<Int32Array> {
    return this.#calls.call({ op: 'breakers', texts }, signal)
  }

  /** What each token stands for. */
  get pieces(): TokenPieces {
    return this.#info.pieces
  }

  /** Raw bytes a token adds to a text, a view. */
  tokenBytes(id: number): Uint8Array {
    return pieceBytes(this.#info.pieces, id)
  }

  isSpecial(id: number): boolean {
    return ((this.#info.pieces.flags[id] ?? 0) & tokenFlag.special) !== 0
  }

  /** One for each sequence; see `Detokenizer` for the options. */
  createDetokenizer(options: ConstructorParameters<typeof Detokenizer>[1]): Detokenizer {
    return new Detokenizer(this.#info.pieces, options)
  }

  /** Text of a whole sequence. */
  decode(
    ids: ArrayLike<number>,
    options: { skipSpecialTokens: boolean },
    signal?: AbortSignal,
  ): Promise<string> {
    return this.#calls.call({ op: 'decode', ids, ...options }, signal)
  }

  /** Ends the thread; calls under way are rejected. */
  close(): Promise<void> {
    return this.#calls.close()
  }
}

/** Far more than the largest vocabulary takes to load, and a hundred times what tokenizing or rendering does. */
const patience = { loadMs: 60_000, callMs: 10_000, msPerChar: 0.01 }

/** Time for a call; a hostile template or pattern would take as long as it likes. */
function limitMs(request: TextRequest): number {
  switch (request.op) {
    case 'load':
      return patience.loadMs
    case 'encode':
      return patience.callMs + request.text.length * patience.msPerChar
    case 'render':
    case 'encodeChat': {
      const chars = request.prompt.messages.reduce((n, m) => n + contentText(m.content).length, 0)
      return patience.callMs + chars * patience.msPerChar
    }
    case 'decode':
    case 'tokenIds':
    case 'describedCalls':
    case 'breakers':
      return patience.callMs
  }
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
class WorkerCalls {
  #worker: Worker
  #waiting: PendingCall[] = []
  #current: PendingCall | undefined
  #nextId = 0
  /** What a new worker has to do first; absent until it has worked once. */
  #load: TextRequest | undefined
  #failure: Error | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #path: string

  /** @param path names the model's tokenizer in errors */
  constructor(path: string) {
    this.#path = path
    this.#worker = this.#start()
  }

  call<R extends TextRequest>(request: R, signal?: AbortSignal): Promise<TextResults[R['op']]> {
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
      this.#waiting.push(call)
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('the text worker was closed'))
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
    if ('error' in reply) call.reject(fromErrorData(reply.error))
    else {
      if (call.request.op === 'load') this.#load = call.request
      call.resolve(reply.value)
    }
    this.#next()
  }

  /** Ends the worker and the call it is at; with a model that has loaded before, the others get a new worker. */
  #giveUp(error: Error): void {
    const load = this.#load
    const call = this.#current
    if (this.#failure !== undefined) return
    if (load === undefined || call?.request === load) {
      this.#fail(error)
      return
    }
    this.#endCurrent()
    call?.reject(error)
    const given = this.#worker
    this.#worker = this.#start()
    void given.terminate()
    this.#waiting.unshift({
      id: this.#nextId++,
      request: load,
      resolve: () => {},
      reject: reason =>
        this.#fail(new Error('the text worker could not restart', { cause: reason })),
      release: () => {},
    })
    this.#next()
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
