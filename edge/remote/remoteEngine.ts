import {
  type Accepted,
  type DetokenizeJob,
  type Embedded,
  type EmbedJob,
  type Engine,
  EngineError,
  type EngineErrorData,
  type EngineHealth,
  type GenerateJob,
  type JsonObject,
  type ModelInfo,
  type ModelMetrics,
  type Tokenized,
  type TokenizeJob,
} from '../engine.ts'
import { FollowingController } from '../followingController.ts'
import { parseJsonObject } from '../jsonObject.ts'
import type { EngineFetch, EngineResponse } from './engineFetch.ts'
import { ENGINE_LOST_MS, enginePaths, SECRET_HEADER } from './engineWire.ts'
import { ConnectionError, unavailable } from './remoteErrors.ts'
import { openEventStream, RemoteEventStream } from './remoteEvents.ts'

export interface RemoteEngineOptions {
  /** Where the container listens, for example `https://gpu-0:8443`; a path is kept as a prefix. */
  url: string
  fetch: EngineFetch
  /** What the container was given with --secret-file. */
  secret?: string
  /** Time for an answer to begin; admission is never a matter of queueing. Default 60 s. */
  answerTimeoutMs?: number
  /** Silence on a stream after which the container is taken for lost. Default 15 s. */
  lostAfterMs?: number
  /** A request may wait for what another one has asked: in Node, not in workerd. Default false. */
  sharesAnswers?: boolean
}

const ANSWER_TIMEOUT_MS = 60_000
const HEALTH_TIMEOUT_MS = 2000
/** A large model from a slow disk. */
const LOAD_TIMEOUT_MS = 30 * 60_000

/** Waits before asking again when no connection could be made, or it broke before anything came back. */
const RETRY_DELAYS_MS = [50, 200]

/** Every request asks for the models; while nothing is loading an answer is good for this long. */
const MODELS_FRESH_MS = 1000

/**
 * The Engine of a container, over HTTP. A connection that fails before a job is accepted is tried again, the container
 * ends a job whose connection is gone; after that every failure is an `error` event of kind `unavailable`.
 */
export class RemoteEngine implements Engine {
  readonly #options: RemoteEngineOptions
  readonly #base: string
  #models: { list: ModelInfo[]; atMs: number } | undefined
  /** The question that is under way, where it may be shared. */
  #asking: Promise<ModelInfo[]> | undefined
  /** Of models. What was asked before one says nothing of the time after it. */
  #numChanges = 0

  constructor(options: RemoteEngineOptions) {
    this.#options = options
    this.#base = options.url.replace(/\/+$/, '')
  }

  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    const body = JSON.stringify(job)
    return this.#retrying(signal, () => this.#open(enginePaths.generate, 0, signal, body))
  }

  attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted> {
    const query = new URLSearchParams({
      after: String(after),
      ...(owner !== undefined && { owner }),
    })
    const path = `${enginePaths.jobs}/${encodeURIComponent(jobId)}?${query}`
    return this.#retrying(signal, () => this.#open(path, after + 1, signal))
  }

  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const { cancelled } = (await this.#call(enginePaths.cancel, undefined, { id, owner })) as {
      cancelled?: unknown
    }
    return cancelled === true
  }

  async embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return (await this.#call(enginePaths.embed, signal, job)) as Embedded
  }

  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return (await this.#call(enginePaths.tokenize, signal, job)) as Tokenized
  }

  async detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    const { text } = (await this.#call(enginePaths.detokenize, signal, job)) as { text?: unknown }
    if (typeof text !== 'string') throw unavailable('The engine sent an answer without text.')
    return text
  }

  async models(): Promise<ModelInfo[]> {
    const known = this.#models
    if (known !== undefined && performance.now() - known.atMs < MODELS_FRESH_MS) return known.list
    if (!this.#options.sharesAnswers) return this.#askModels()
    if (this.#asking !== undefined) return this.#asking
    const asking = this.#askModels().finally(() => {
      if (this.#asking === asking) this.#asking = undefined
    })
    this.#asking = asking
    return asking
  }

  async #askModels(): Promise<ModelInfo[]> {
    const numChanges = this.#numChanges
    const { models } = (await this.#call(enginePaths.models)) as { models?: unknown }
    if (!Array.isArray(models)) throw unavailable('The engine sent an answer without models.')
    const list = models as ModelInfo[]
    const settled = list.every(({ status }) => status === 'loaded')
    if (numChanges === this.#numChanges) {
      this.#models = settled ? { list, atMs: performance.now() } : undefined
    }
    return list
  }

  load(model: string): Promise<ModelInfo> {
    return this.#change(enginePaths.load, model)
  }

  unload(model: string): Promise<ModelInfo> {
    return this.#change(enginePaths.unload, model)
  }

  async system(): Promise<JsonObject[]> {
    const { machines } = (await this.#call(enginePaths.system)) as { machines?: unknown }
    if (!Array.isArray(machines)) throw unavailable('The engine sent an answer without machines.')
    return machines
  }

  async metrics(): Promise<ModelMetrics[]> {
    const { models } = (await this.#callOnce(enginePaths.metrics, HEALTH_TIMEOUT_MS)) as {
      models?: unknown
    }
    if (!Array.isArray(models)) throw unavailable('The engine sent an answer without models.')
    return models
  }

  async health(): Promise<EngineHealth> {
    // Once and soon: whoever asks wants to know now, and will ask again.
    return (await this.#callOnce(enginePaths.health, HEALTH_TIMEOUT_MS)) as EngineHealth
  }

  async #change(path: string, model: string): Promise<ModelInfo> {
    try {
      return (await this.#callOnce(path, LOAD_TIMEOUT_MS, undefined, { model })) as ModelInfo
    } finally {
      this.#models = undefined
      this.#asking = undefined
      this.#numChanges++
    }
  }

  /** @param firstSeq number of the first event that will come */
  async #open(
    path: string,
    firstSeq: number,
    signal: AbortSignal,
    body?: string,
  ): Promise<Accepted> {
    const opening = new FollowingController(signal)
    const deadline = startDeadline(opening, this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS)
    try {
      const response = await this.#request(path, opening.signal, body)
      if (response.status !== 200) throw await rejection(response)
      const { accepted, lines } = await openEventStream(response.body, opening.signal)
      return {
        ...accepted,
        events: new RemoteEventStream(lines, {
          firstSeq,
          signal,
          lostAfterMs: this.#options.lostAfterMs ?? ENGINE_LOST_MS,
        }),
      }
    } catch (error) {
      // Lets go of a body that was not read to its end.
      opening.abort(error)
      if (signal.aborted) throw signal.reason
      throw deadline.passed ? timedOut() : error
    } finally {
      deadline.clear()
      opening.release()
    }
  }

  #call(path: string, signal?: AbortSignal, job?: object): Promise<object> {
    const timeoutMs = this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS
    return this.#retrying(signal, () => this.#callOnce(path, timeoutMs, signal, job))
  }

  /** @returns the JSON of the answer, an object */
  async #callOnce(
    path: string,
    timeoutMs: number,
    signal?: AbortSignal,
    job?: object,
  ): Promise<object> {
    const controller = new FollowingController(signal)
    const deadline = startDeadline(controller, timeoutMs)
    try {
      const body = job === undefined ? undefined : JSON.stringify(job)
      const response = await this.#request(path, controller.signal, body)
      if (response.status !== 200) throw await rejection(response)
      const answer = parseJsonObject(await readText(response))
      if (answer === undefined) throw unavailable('The engine sent an answer that is not JSON.')
      return answer
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw deadline.passed ? timedOut() : error
    } finally {
      deadline.clear()
      controller.release()
    }
  }

  #request(path: string, signal: AbortSignal, body?: string): Promise<EngineResponse> {
    const { fetch, secret } = this.#options
    return fetch(`${this.#base}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(secret !== undefined && { [SECRET_HEADER]: secret }),
      },
      ...(body !== undefined && { body }),
      signal,
    }).catch(unreachable)
  }

  async #retrying<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    for (const delayMs of RETRY_DELAYS_MS) {
      signal?.throwIfAborted()
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error
      }
      await new Promise(resolve => setTimeout(resolve, delayMs))
    }
    signal?.throwIfAborted()
    return attempt()
  }
}

/** Aborts a request unless it is cleared in time. */
function startDeadline(controller: AbortController, timeoutMs: number) {
  const deadline = { passed: false, clear: () => clearTimeout(timer) }
  const timer = setTimeout(() => {
    deadline.passed = true
    controller.abort()
  }, timeoutMs)
  return deadline
}

function unreachable(cause: unknown): never {
  throw new ConnectionError('The engine cannot be reached.', cause)
}

async function rejection(response: EngineResponse): Promise<EngineError> {
  const { error } = (parseJsonObject(await readText(response)) ?? {}) as { error?: EngineErrorData }
  if (typeof error?.kind === 'string' && typeof error.message === 'string') {
    return new EngineError(error)
  }
  // Not the engine's own words: a proxy between, or something else altogether.
  return unavailable(`The engine's address answered with status ${response.status}.`)
}

async function readText(response: EngineResponse): Promise<string> {
  try {
    return await response.text()
  } catch (cause) {
    throw new ConnectionError('The connection to the engine was lost.', cause)
  }
}

function timedOut(): EngineError {
  return new EngineError({ kind: 'timeout', message: 'The engine did not answer in time.' })
}
