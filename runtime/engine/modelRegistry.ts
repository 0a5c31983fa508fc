import {
  type Accepted,
  type DetokenizeJob,
  type Embedded,
  type EmbedJob,
  EngineError,
  type EngineHealth,
  type GenerateJob,
  type JsonObject,
  type ModelInfo,
  type ModelMetrics,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'
import { checkModalities } from '../media/checkModalities.ts'
import { createMediaFetcher, type FetchMedia } from '../media/fetchMedia.ts'
import { mediaParts } from '../media/mediaParts.ts'
import { resolveMedia } from '../media/resolveMedia.ts'
import type { AttendedEngine } from './detachedJobs.ts'
import { isDeviceLost } from './deviceLoss.ts'
import { systemInfo } from './systemInfo.ts'

/** The engine of one model, which can be taken out of service. */
export interface ManagedEngine extends Omit<AttendedEngine, 'load' | 'unload' | 'system'> {
  /** Settles when only a new process can go on, without a device or a text worker; running jobs have ended with an error by then. */
  readonly lost: Promise<Error>
  drain(deadlineMs: number): Promise<void>
  dispose(): Promise<void>
}

/** Makes the engine of a model, and tells how much of the work is done. */
export type ModelLoader = (report: (done: number, total: number) => void) => Promise<ManagedEngine>

interface Entry {
  id: string
  aliases: string[]
  createdSeconds: number
  load: ModelLoader
  /** Under way: the promise settles when it is done. */
  loading?: Promise<ManagedEngine> | undefined
  unloading?: Promise<void> | undefined
  startedMs: number
  /** Of the load, 0 to 1. */
  fraction: number
  engine?: ManagedEngine | undefined
  error?: Error | undefined
  /** From when it was loaded last. */
  lastInfo?: ModelInfo | undefined
  /** What its engine was asked and has not answered yet. */
  calls: Set<Promise<unknown>>
}

/** How long a job waits for its model to be unloaded, and to be loaded again, before it is told to come back. */
const RELOAD_WAIT_MS = 20_000
/** How long an unloading model's jobs may go on. */
const UNLOAD_DRAIN_MS = 10 * 60_000

/** The models of a server by name, from the moment they begin to load. The first is the default. */
export class ModelRegistry implements AttendedEngine {
  readonly #entries: Entry[] = []
  readonly #fetchMedia: FetchMedia
  readonly #lost = Promise.withResolvers<Error>()
  #isDraining = false

  /** @param options.fetchMedia for tests: what fetches the media that jobs only name */
  constructor({ fetchMedia = createMediaFetcher() }: { fetchMedia?: FetchMedia } = {}) {
    this.#fetchMedia = fetchMedia
  }

  /** Settles when a model, loaded or loading, has lost what only a new process can have again, as a device. */
  get lost(): Promise<Error> {
    return this.#lost.promise
  }

  /** Names a model and loads it; one that fails to load stays listed as failed. @returns its engine */
  add(model: { id: string; aliases?: string[] }, load: ModelLoader): Promise<ManagedEngine> {
    const entry: Entry = {
      id: model.id,
      aliases: model.aliases ?? [],
      createdSeconds: Math.floor(Date.now() / 1000),
      load,
      startedMs: 0,
      fraction: 0,
      calls: new Set(),
    }
    this.#entries.push(entry)
    return this.#startLoading(entry)
  }

  async submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    const whole = mediaParts(job).length > 0 ? await this.#withMedia(job, signal) : job
    return this.#ask(job.model, signal, engine => engine.submit(whole, signal))
  }

  /** Fetches remote media for a model that takes them. */
  async #withMedia(job: GenerateJob, signal: AbortSignal): Promise<GenerateJob> {
    const [info] = await (await this.#engine(this.#entry(job.model), signal)).models()
    checkModalities(job, info?.inputModalities ?? [])
    return resolveMedia(job, this.#fetchMedia, signal)
  }

  async embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return this.#ask(job.model, signal, engine => engine.embed(job, signal))
  }

  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const answers = await Promise.all(this.#loaded().map(engine => engine.cancel(id, owner)))
    return answers.includes(true)
  }

  async system(): Promise<JsonObject[]> {
    return [systemInfo()]
  }

  async metrics(): Promise<ModelMetrics[]> {
    return (await Promise.all(this.#loaded().map(engine => engine.metrics()))).flat()
  }

  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.#ask(job.model, signal, engine => engine.tokenize(job, signal))
  }

  async detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return this.#ask(job.model, signal, engine => engine.detokenize(job, signal))
  }

  async models(): Promise<ModelInfo[]> {
    return Promise.all(
      this.#entries.map(async entry =>
        entry.engine === undefined ? unloadedInfo(entry) : infoOf(entry, entry.engine),
      ),
    )
  }

  async health(): Promise<EngineHealth> {
    const sum: EngineHealth = {
      ready: true,
      running: 0,
      waiting: 0,
      kvPagesUsed: 0,
      kvPagesTotal: 0,
    }
    const notReady = (reason: NonNullable<EngineHealth['reason']>, detail?: string) => {
      // A failure is news, whatever else is still loading.
      if (sum.ready || reason === 'failed') sum.reason = reason
      if (detail !== undefined) sum.detail ??= detail
      sum.ready = false
    }
    for (const { engine, error, loading } of this.#entries) {
      if (error !== undefined) notReady('failed', error.message)
      else if (loading !== undefined) notReady('loading')
      else if (engine === undefined)
        continue // unloaded on purpose
      else {
        const health = await engine.health()
        if (!health.ready) notReady(health.reason ?? 'failed', health.detail)
        sum.running += health.running
        sum.waiting += health.waiting
        sum.kvPagesUsed += health.kvPagesUsed
        sum.kvPagesTotal += health.kvPagesTotal
      }
    }
    if (this.#isDraining) notReady('draining')
    else if (this.#entries.length === 0) notReady('loading')
    return sum
  }

  /** Refuses new jobs and waits for the accepted ones. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true
    await Promise.all(
      this.#entries.map(({ engine, calls }) => engine && drained(engine, calls, deadlineMs)),
    )
  }

  async dispose(): Promise<void> {
    this.#isDraining = true
    await Promise.all(this.#loaded().map(engine => engine.dispose()))
  }

  async load(model: string): Promise<ModelInfo> {
    const entry = this.#entry(model)
    if (entry.unloading !== undefined) throw conflict(entry, 'being unloaded')
    try {
      const engine = entry.engine ?? (await (entry.loading ?? this.#startLoading(entry)))
      return await infoOf(entry, engine)
    } catch (cause) {
      throw loadFailure(entry, cause)
    }
  }

  async unload(model: string): Promise<ModelInfo> {
    const entry = this.#entry(model)
    if (entry.loading !== undefined) throw conflict(entry, 'still loading')
    if (entry.engine !== undefined) entry.unloading ??= this.#startUnloading(entry, entry.engine)
    await entry.unloading
    return unloadedInfo(entry)
  }

  #startLoading(entry: Entry): Promise<ManagedEngine> {
    entry.error = undefined
    entry.fraction = 0
    entry.startedMs = performance.now()
    const report = (done: number, total: number) => {
      entry.fraction = total > 0 ? done / total : 0
    }
    const load = async () => {
      try {
        const engine = await entry.load(report)
        if (this.#isDraining) {
          await engine.dispose()
          throw draining()
        }
        entry.engine = engine
        engine.lost.then(this.#lost.resolve)
        return engine
      } catch (cause) {
        entry.error = cause instanceof Error ? cause : new Error(String(cause))
        if (isDeviceLost(cause)) this.#lost.resolve(cause)
        throw cause
      } finally {
        entry.loading = undefined
      }
    }
    const loading = load()
    // Who is interested awaits it; the entry remembers the failure for everybody else.
    loading.catch(() => {})
    entry.loading = loading
    return loading
  }

  async #startUnloading(entry: Entry, engine: ManagedEngine): Promise<void> {
    try {
      entry.lastInfo = await infoOf(entry, engine)
      await drained(engine, entry.calls, UNLOAD_DRAIN_MS)
      await engine.dispose()
      entry.engine = undefined
    } finally {
      entry.unloading = undefined
    }
  }

  #loaded(): ManagedEngine[] {
    return this.#entries.flatMap(({ engine }) => engine ?? [])
  }

  #entry(name: string | undefined): Entry {
    const entry =
      name === undefined || name === '' || name === 'default'
        ? this.#entries[0]
        : this.#entries.find(e => e.id === name || e.aliases.includes(name))
    if (this.#isDraining) throw draining()
    if (entry !== undefined) return entry
    throw new EngineError({
      kind: 'model_not_found',
      message: `The model '${name ?? ''}' does not exist.`,
      param: 'model',
    })
  }

  /** Asks the engine of a model. What it refuses because it is being unloaded is asked again when it is back. */
  async #ask<T>(
    name: string | undefined,
    signal: AbortSignal,
    ask: (engine: ManagedEngine) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const entry = this.#entry(name)
      const engine = await this.#engine(entry, signal)
      const call = ask(engine)
      entry.calls.add(call)
      try {
        return await call
      } catch (error) {
        const isLeaving = entry.unloading !== undefined || entry.engine !== engine
        if (this.#isDraining || !isLeaving || !isRefusal(error)) throw error
      } finally {
        entry.calls.delete(call)
      }
    }
  }

  /** The engine of a model; one that was unloaded is loaded again. */
  async #engine(entry: Entry, signal: AbortSignal): Promise<ManagedEngine> {
    if (entry.unloading !== undefined) {
      await within(entry.unloading, RELOAD_WAIT_MS, () => stillUnloading(entry))
      // Nobody loads a model for a client that has left.
      signal.throwIfAborted()
    }
    if (entry.engine !== undefined) return entry.engine
    if (entry.error !== undefined) throw loadFailure(entry, entry.error)
    // The first load is the start of the server, and nobody waits for that.
    if (entry.lastInfo === undefined) throw stillLoading(entry)
    try {
      return await within(entry.loading ?? this.#startLoading(entry), RELOAD_WAIT_MS, () =>
        stillLoading(entry),
      )
    } catch (cause) {
      throw loadFailure(entry, cause)
    }
  }
}

async function infoOf(entry: Entry, engine: ManagedEngine): Promise<ModelInfo> {
  const [info] = await engine.models()
  // Clients may know a model by its age, which loading it again does not change.
  return info === undefined ? unloadedInfo(entry) : { ...info, created: entry.createdSeconds }
}

async function within<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), ms)
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Takes an engine out of service. What is on its way in takes a moment to be refused. */
async function drained(
  engine: ManagedEngine,
  calls: ReadonlySet<Promise<unknown>>,
  deadlineMs: number,
): Promise<void> {
  const { promise: deadline, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, deadlineMs)
  await engine.drain(deadlineMs)
  await Promise.race([Promise.allSettled(calls), deadline])
  clearTimeout(timer)
}

/** Of an engine that is taken out of service, or has been. */
function isRefusal(error: unknown): boolean {
  return error instanceof EngineError && (error.kind === 'draining' || error.kind === 'unavailable')
}

function draining(): EngineError {
  return new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
}

function conflict({ id }: Entry, what: string): EngineError {
  return new EngineError({ kind: 'conflict', message: `The model '${id}' is ${what}.` })
}

function stillLoading(entry: Entry): EngineError {
  return new EngineError({
    kind: 'loading',
    message: `The model '${entry.id}' is still loading.`,
    retryAfterMs: remainingLoadMs(entry),
  })
}

function stillUnloading({ id }: Entry): EngineError {
  return new EngineError({
    kind: 'loading',
    message: `The model '${id}' is being unloaded, and comes back after its last answers.`,
  })
}

function loadFailure({ id }: Entry, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `The model '${id}' failed to load: ${reason}`
  return new EngineError({ kind: 'unavailable', message }, { cause })
}

/** From the time the load took so far. */
function remainingLoadMs({ startedMs, fraction }: Entry): number {
  const elapsed = performance.now() - startedMs
  const remaining = fraction > 0.01 ? (elapsed * (1 - fraction)) / fraction : 2000
  return Math.round(Math.min(60_000, Math.max(500, remaining)))
}

function unloadedInfo({ id, aliases, createdSeconds, error, loading, lastInfo }: Entry): ModelInfo {
  const status = error !== undefined ? 'failed' : loading !== undefined ? 'loading' : 'unloaded'
  if (lastInfo !== undefined) return { ...lastInfo, status }
  return {
    id,
    aliases,
    status,
    created: createdSeconds,
    maxModelLen: null,
    quantization: null,
    vocabSize: null,
    fingerprint: null,
    inputModalities: [],
    embeddingSize: null,
  }
}
