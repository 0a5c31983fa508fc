import {
  type Accepted,
  type DetokenizeJob,
  type Engine,
  EngineError,
  type EngineHealth,
  type GenerateJob,
  type ModelInfo,
  type Tokenized,
  type TokenizeJob,
} from '../../edge/engine.ts'

/** An engine that can be taken out of service. */
export interface ManagedEngine extends Engine {
  drain(deadlineMs: number): Promise<void>
  dispose(): Promise<void>
}

/** A model on its way: say how far it is, so that clients are told when to come back. */
export interface LoadingModel {
  progress(done: number, total: number): void
}

interface Entry {
  id: string
  aliases: string[]
  createdSeconds: number
  startedMs: number
  /** Of the load, 0 to 1. */
  fraction: number
  engine: ManagedEngine | undefined
  error: Error | undefined
}

/** The models of a server by name, from the moment they begin to load. The first is the default. */
export class ModelRegistry implements Engine {
  readonly #entries: Entry[] = []
  #isDraining = false

  /** Names a model that is loading or loaded; when `engine` rejects it stays listed as failed. */
  add(
    model: { id: string; aliases?: string[] },
    engine: ManagedEngine | Promise<ManagedEngine>,
  ): LoadingModel {
    const entry: Entry = {
      id: model.id,
      aliases: model.aliases ?? [],
      createdSeconds: Math.floor(Date.now() / 1000),
      startedMs: performance.now(),
      fraction: 0,
      engine: undefined,
      error: undefined,
    }
    this.#entries.push(entry)
    if (engine instanceof Promise) {
      engine
        .then(async loaded => {
          if (this.#isDraining) await loaded.dispose()
          else entry.engine = loaded
        })
        .catch((cause: unknown) => {
          entry.error = cause instanceof Error ? cause : new Error(String(cause))
        })
    } else entry.engine = engine
    return {
      progress: (done, total) => {
        entry.fraction = total > 0 ? done / total : 0
      },
    }
  }

  async submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    return this.#engine(job.model).submit(job, signal)
  }

  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.#engine(job.model).tokenize(job, signal)
  }

  async detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return this.#engine(job.model).detokenize(job, signal)
  }

  async models(): Promise<ModelInfo[]> {
    const lists = this.#entries.map(async entry =>
      entry.engine === undefined ? [unloadedInfo(entry)] : entry.engine.models(),
    )
    return (await Promise.all(lists)).flat()
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
    for (const { engine, error } of this.#entries) {
      if (error !== undefined) notReady('failed', error.message)
      else if (engine === undefined) notReady('loading')
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
    await Promise.all(this.#entries.map(({ engine }) => engine?.drain(deadlineMs)))
  }

  async dispose(): Promise<void> {
    this.#isDraining = true
    await Promise.all(this.#entries.map(({ engine }) => engine?.dispose()))
  }

  #engine(name: string | undefined): ManagedEngine {
    const entry =
      name === undefined || name === '' || name === 'default'
        ? this.#entries[0]
        : this.#entries.find(e => e.id === name || e.aliases.includes(name))
    if (this.#isDraining) {
      throw new EngineError({ kind: 'draining', message: 'The server is shutting down.' })
    }
    if (entry === undefined) {
      throw new EngineError({
        kind: 'model_not_found',
        message: `The model '${name ?? ''}' does not exist.`,
        param: 'model',
      })
    }
    if (entry.error !== undefined) {
      throw new EngineError(
        {
          kind: 'unavailable',
          message: `The model '${entry.id}' failed to load: ${entry.error.message}`,
        },
        { cause: entry.error },
      )
    }
    if (entry.engine === undefined) {
      throw new EngineError({
        kind: 'loading',
        message: `The model '${entry.id}' is still loading.`,
        retryAfterMs: remainingLoadMs(entry),
      })
    }
    return entry.engine
  }
}

/** From the time the load took so far. */
function remainingLoadMs({ startedMs, fraction }: Entry): number {
  const elapsed = performance.now() - startedMs
  const remaining = fraction > 0.01 ? (elapsed * (1 - fraction)) / fraction : 2000
  return Math.round(Math.min(60_000, Math.max(500, remaining)))
}

function unloadedInfo({ id, aliases, createdSeconds, error }: Entry): ModelInfo {
  return {
    id,
    aliases,
    status: error === undefined ? 'loading' : 'failed',
    created: createdSeconds,
    maxModelLen: null,
    quantization: null,
    vocabSize: null,
    fingerprint: null,
    template: null,
  }
}
