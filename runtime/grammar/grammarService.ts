import { hash } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { EngineError } from '../../edge/engine.ts'
import { pieceBytes, type TokenPieces } from '../text/tokenizer/tokenPieces.ts'
import type { TokenLimits } from './automaton.ts'
import { GrammarError } from './expr.ts'
import { CompiledGrammar, type MatchVocabulary } from './grammarMatcher.ts'
import type { GrammarReply, GrammarRequest, GrammarResults } from './grammarProtocol.ts'
import { type EncodeText, JumpAhead } from './jumpAhead.ts'
import type { OutputRequest } from './outputGrammar.ts'
import { tokenLimits } from './tokenTrie.ts'

/** Compiled grammars kept, the least recently used going first. */
const maxCached = 32
/** Processor time for a grammar, several times what the largest real ones take; a busy machine is not the client's fault. */
const compileCpuMs = 1000
const vocabularyCpuMs = 60_000
/** How often the time is looked at. */
const watchMs = 200

interface Call {
  id: number
  request: GrammarRequest
  resolve: (value: never) => void
  reject: (reason: unknown) => void
}

/**
 * Compiles what outputs may be, for one vocabulary, on a thread of their own that starts with the first. A grammar that takes too long takes
 * the thread with it; the next call starts another.
 */
export class GrammarService {
  readonly #pieces: TokenPieces
  readonly #vocabSize: number
  readonly #encode: EncodeText | undefined
  readonly #cache = new Map<string, Promise<CompiledGrammar>>()
  #vocabulary: Promise<MatchVocabulary & { limits: TokenLimits }> | undefined
  #worker: Worker | undefined
  #isOnline: Promise<unknown> = Promise.resolve()
  #calls: Call[] = []
  #nextId = 0
  #isClosed = false

  /** @param encode the tokenizer, to write text that a grammar leaves no choice about; absent: it is drawn token by token */
  constructor(pieces: TokenPieces, vocabSize: number, encode?: EncodeText) {
    this.#pieces = pieces
    this.#vocabSize = vocabSize
    this.#encode = encode
  }

  /** Makes what all grammars need, so that the first does not wait for it. */
  async warmUp(): Promise<void> {
    if (this.#isClosed) return
    this.#vocabulary ??= this.#loadVocabulary()
    await this.#vocabulary
  }

  /** @throws GrammarError for a grammar that is wrong, cannot be enforced or takes too long */
  compile(output: OutputRequest): Promise<CompiledGrammar> {
    const key = hash('sha256', JSON.stringify(output), 'base64')
    const known = this.#cache.get(key)
    this.#cache.delete(key)
    const compiled = known ?? this.#compile(output)
    this.#cache.set(key, compiled)
    if (known === undefined) {
      compiled.catch(() => this.#cache.delete(key))
      const [oldest] = this.#cache.keys()
      if (this.#cache.size > maxCached && oldest !== undefined) this.#cache.delete(oldest)
    }
    return compiled
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#giveUp(unloaded())
  }

  async #compile(output: OutputRequest): Promise<CompiledGrammar> {
    this.#vocabulary ??= this.#loadVocabulary()
    const vocabulary = await this.#vocabulary
    const { limits } = vocabulary
    const automaton = await this.#call({ op: 'compile', output, limits })
    return new CompiledGrammar(automaton, vocabulary)
  }

  async #loadVocabulary() {
    const vocabSize = this.#vocabSize
    try {
      const trie = await this.#call({ op: 'vocabulary', pieces: this.#pieces, vocabSize })
      const tokenBytes = (id: number) => pieceBytes(this.#pieces, id)
      const jumpAhead = this.#encode && new JumpAhead(this.#encode, this.#pieces, trie, vocabSize)
      return {
        trie,
        vocabSize,
        tokenBytes,
        limits: tokenLimits(trie),
        ...(jumpAhead && { jumpAhead }),
      }
    } catch (error) {
      this.#vocabulary = undefined
      throw error
    }
  }

  #call<R extends GrammarRequest>(request: R): Promise<GrammarResults[R['op']]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(unloaded())
      this.#calls.push({ id: this.#nextId++, request, resolve, reject })
      if (this.#calls.length === 1) this.#post()
    })
  }

  /** Hands the first waiting call to the thread: one at a time, so that each has its own time limit. */
  #post(): void {
    const [call] = this.#calls
    if (call === undefined) {
      this.#worker?.unref()
      return
    }
    try {
      this.#worker ??= this.#start()
    } catch (error) {
      // There are no more threads.
      this.#fail(error)
      return
    }
    this.#worker.ref()
    this.#worker.postMessage({ id: call.id, request: call.request })
    const worker = this.#worker
    this.#watch(call, worker).catch(error => {
      if (worker === this.#worker) this.#fail(error)
    })
  }

  /** Ends the thread when the call it is at takes too long. */
  async #watch(call: Call, worker: Worker): Promise<void> {
    const limitMs = call.request.op === 'compile' ? compileCpuMs : vocabularyCpuMs
    const isAtIt = () => worker === this.#worker && call === this.#calls[0]
    await this.#isOnline
    if (!isAtIt()) return
    const before = await worker.cpuUsage()
    while (isAtIt()) {
      await new Promise(resolve => setTimeout(resolve, watchMs).unref())
      if (!isAtIt()) return
      const { user, system } = await worker.cpuUsage(before)
      if (isAtIt() && (user + system) / 1000 > limitMs) {
        this.#fail(new GrammarError(`the grammar takes more than ${limitMs / 1000} s to compile`))
      }
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./grammarWorker.ts', import.meta.url), { name: 'grammar' })
    worker.on('message', (reply: GrammarReply) => {
      if (worker === this.#worker) this.#settle(reply)
    })
    worker.on('error', error => {
      if (worker === this.#worker) this.#fail(error)
    })
    this.#isOnline = once(worker, 'online')
    return worker
  }

  #settle(reply: GrammarReply): void {
    const [call] = this.#calls
    if (call?.id !== reply.id) return
    this.#calls.shift()
    if ('value' in reply) call.resolve(reply.value as never)
    else {
      const { isGrammarError, message } = reply.error
      call.reject(isGrammarError ? new GrammarError(message) : new Error(message))
    }
    this.#post()
  }

  /** Ends the thread and the call it is at. */
  #fail(error: unknown): void {
    void this.#worker?.terminate()
    this.#worker = undefined
    this.#calls.shift()?.reject(error)
    this.#post()
  }

  #giveUp(error: Error): void {
    const calls = this.#calls
    this.#calls = []
    this.#fail(error)
    for (const call of calls) call.reject(error)
  }
}

/** What those are told whose grammar is under way when the model goes. */
function unloaded(): EngineError {
  return new EngineError({ kind: 'unavailable', message: 'The model was unloaded.' })
}
