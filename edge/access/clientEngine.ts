import type {
  Accepted,
  DetokenizeJob,
  Embedded,
  EmbedJob,
  Engine,
  EngineHealth,
  GenerateJob,
  JsonObject,
  ModelInfo,
  ModelMetrics,
  Tokenized,
  TokenizeJob,
} from '../engine.ts'
import { ApiError } from '../errors.ts'
import { TrackedRun } from '../trackedRun.ts'
import type { Client } from './client.ts'
import type { MeteredRun } from './meteredRun.ts'

/** How long a request waits to hear of an earlier one. */
const ASK_MS = 5000

/**
 * The engine as one request may use it: jobs carry the names of the request and of its client, and stay within what the
 * client's key allows. The only engine that routes ever see.
 */
export class ClientEngine implements Omit<Engine, 'attach' | 'cancel'> {
  readonly #engine: Engine
  readonly #requestId: string
  readonly #client: Client | undefined
  #hasBegun = false
  #hasSplit = false

  /** @param client undefined where no keys are configured */
  constructor(engine: Engine, requestId: string, client: Client | undefined) {
    this.#engine = engine
    this.#requestId = requestId
    this.#client = client
  }

  /** Opaque name of the client: what it owns is nobody else's. */
  get owner(): string | undefined {
    return this.#client?.name
  }

  /** @throws EngineError; ApiError 403 for a model the key does not allow, 429 when it has used up what it may */
  async submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    this.#checkModel(job.model)
    const run = await this.#begin()
    const begin = () => this.#engine.submit(this.#stamped(job), signal)
    if (run === undefined) return begin()
    try {
      // A job that needs no reader does not end with its first.
      const tracked = job.detach ? undefined : new TrackedRun(signal, () => run.end())
      const accepted = await (tracked?.follow(begin()) ?? begin())
      run.accept(accepted, job.detach === true)
      return { ...accepted, events: run.read(accepted.events) }
    } catch (error) {
      run.end()
      throw error
    }
  }

  /** As `Engine.attach`, for jobs of this client. */
  async attach(jobId: string, after: number, signal: AbortSignal): Promise<Accepted> {
    const accepted = await this.#engine.attach(jobId, after, this.#client?.name, signal)
    const run = this.#client?.limits?.runOf(jobId)
    return run === undefined ? accepted : { ...accepted, events: run.read(accepted.events) }
  }

  /** As `Engine.cancel`, for jobs of this client. */
  async cancel(id: string): Promise<boolean> {
    // Those only that the engine knew before: it may not have heard of others yet.
    const named = this.#client?.limits?.named(id) ?? []
    const wasRunning = await this.#engine.cancel(id, this.#client?.name)
    // What they made counts, though nobody has read it yet.
    await Promise.all(named.map(run => this.#ask(run)))
    for (const run of named) run.end()
    return wasRunning
  }

  /** @throws as `submit` */
  async embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    this.#checkModel(job.model)
    const run = await this.#begin()
    try {
      const embedded = await this.#engine.embed(this.#stamped(job), signal)
      this.#client?.limits?.spendTokens(embedded.promptTokens)
      return embedded
    } finally {
      run?.end()
    }
  }

  /** @throws as `submit` */
  async tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    this.#checkModel(job.model)
    this.#split()
    return this.#engine.tokenize(job, signal)
  }

  /** @throws as `submit` */
  async detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    this.#checkModel(job.model)
    this.#split()
    return this.#engine.detokenize(job, signal)
  }

  /** Every model; those the client may use come first, so that `default` is one of them. */
  async models(): Promise<ModelInfo[]> {
    const all = await this.#engine.models()
    return [
      ...all.filter(({ id }) => this.#allows(id)),
      ...all.filter(({ id }) => !this.#allows(id)),
    ]
  }

  /** The models the client may use. */
  async allowedModels(): Promise<ModelInfo[]> {
    return (await this.#engine.models()).filter(({ id }) => this.#allows(id))
  }

  /** @throws EngineError; ApiError 403 for a key that may not */
  async load(model: string): Promise<ModelInfo> {
    this.#checkAdmin()
    return this.#engine.load(model)
  }

  /** @throws as `load` */
  async unload(model: string): Promise<ModelInfo> {
    this.#checkAdmin()
    return this.#engine.unload(model)
  }

  health(): Promise<EngineHealth> {
    return this.#engine.health()
  }

  system(): Promise<JsonObject[]> {
    return this.#engine.system()
  }

  metrics(): Promise<ModelMetrics[]> {
    return this.#engine.metrics()
  }

  #allows(model: string): boolean {
    return this.#client?.models?.has(model) ?? true
  }

  #checkModel(model: string): void {
    if (this.#allows(model)) return
    throw new ApiError({
      status: 403,
      type: 'permission_error',
      code: 'model_not_allowed',
      message: `This API key may not use the model '${model}'. GET /v1/models lists those it may use.`,
      param: 'model',
    })
  }

  #checkAdmin(): void {
    if (this.#client === undefined || this.#client.admin) return
    throw new ApiError({
      status: 403,
      type: 'permission_error',
      code: 'forbidden',
      message: 'This API key may not change models: that takes one with "admin": true.',
    })
  }

  /** @throws ApiError 429 */
  async #begin(): Promise<MeteredRun | undefined> {
    const limits = this.#client?.limits
    if (limits === undefined) return undefined
    await Promise.all(limits.silent().map(run => this.#ask(run)))
    const run = limits.begin(this.#requestId, this.#hasBegun ? 0 : 1)
    this.#hasBegun = true
    return run
  }

  /** Hears of a run. Never rejects. */
  async #ask(run: MeteredRun): Promise<void> {
    const reading = new AbortController()
    const timer = setTimeout(() => reading.abort(), ASK_MS)
    await run.ask((jobId, after) =>
      this.#engine.attach(jobId, after, this.#client?.name, reading.signal),
    )
    clearTimeout(timer)
    // Where it had no news its events are not read to an end: a container would send on and on.
    reading.abort()
  }

  /** Once for all texts of a request. @throws ApiError 429 */
  #split(): void {
    if (!this.#hasSplit) this.#client?.limits?.split()
    this.#hasSplit = true
  }

  #stamped<J extends GenerateJob | EmbedJob>(job: J): J {
    const owner = this.#client?.name
    return { ...job, requestId: this.#requestId, ...(owner !== undefined && { owner }) }
  }
}
