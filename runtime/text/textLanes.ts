import { requestChars } from './requestChars.ts'
import type { TextInfo, TextRequest, TextResults } from './textProtocol.ts'
import { type CallOptions, WorkerCalls } from './workerCalls.ts'

type LoadRequest = Extract<TextRequest, { op: 'load' }>

/** Most tokenizers take 10 ms for so many, and at worst 50. */
const longChars = 65_536
/** What others may wait for, if need be: most take 40 ms. */
const bearableChars = 262_144
/** A worker with a vocabulary of 128k takes 55 MB, of 262k 100 MB, and twice that while it is at a text of 2 MB. */
const idleMs = 300_000

/**
 * The workers of one model. What is long goes to one of its own, so that nothing short waits behind it: that one is started when
 * it is first needed, and ended when it has had nothing to do for five minutes. Starting takes as long as loading the tokenizer,
 * half a second, so what is not very long goes to the other meanwhile.
 */
export class TextLanes {
  readonly #load: LoadRequest
  readonly #short: WorkerCalls
  #long: WorkerCalls | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(load: LoadRequest) {
    this.#load = load
    this.#short = startWorker(load)
  }

  /** Starts a worker and loads a model's text files. @throws FileFormatError naming a broken or missing file */
  static async load(
    request: LoadRequest,
    signal: AbortSignal | undefined,
  ): Promise<{ lanes: TextLanes; info: TextInfo }> {
    const lanes = new TextLanes(request)
    try {
      return { lanes, info: await lanes.#short.call(request, { signal }) }
    } catch (error) {
      await lanes.close()
      throw error
    }
  }

  /** Settles when the worker that nothing can do without is lost. */
  get lost(): Promise<Error> {
    return this.#short.lost
  }

  async call<R extends TextRequest>(
    request: R,
    options: CallOptions = {},
  ): Promise<TextResults[R['op']]> {
    const chars = requestChars(request)
    if (chars < longChars || this.#isClosed) return this.#short.call(request, options)
    const lane = this.#longLane()
    if (lane === undefined) return this.#short.call(request, options)
    const isReady = lane.isLoaded || chars >= bearableChars
    try {
      return await (isReady ? lane : this.#short).call(request, options)
    } catch (error) {
      const isOfLane = isReady && error === lane.failure
      if (!isOfLane || this.#isClosed || options.signal?.aborted) throw error
      // It could not start, since its files are gone, say: the worker that has them serves.
      return await this.#short.call(request, options)
    } finally {
      this.#endWhenIdle(lane)
    }
  }

  /** Ends the workers; calls under way are rejected. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#idleTimer)
    await Promise.all([this.#short.close(), this.#long?.close()])
  }

  /** @returns undefined when there are no more threads */
  #longLane(): WorkerCalls | undefined {
    clearTimeout(this.#idleTimer)
    // Where one could not start, or start again, the next call tries anew.
    if (this.#long !== undefined && this.#long.failure === undefined) return this.#long
    try {
      this.#long = startWorker(this.#load)
    } catch {
      this.#long = undefined
      return undefined
    }
    // Whoever waits for the lane is told.
    this.#long.call(this.#load).catch(() => {})
    return this.#long
  }

  #endWhenIdle(lane: WorkerCalls): void {
    if (this.#isClosed || lane !== this.#long) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      if (!lane.isIdle) return this.#endWhenIdle(lane)
      this.#long = undefined
      void lane.close()
    }, idleMs).unref()
  }
}

function startWorker({ source }: LoadRequest): WorkerCalls {
  return new WorkerCalls(source.kind === 'gguf' ? source.path : source.dir)
}
