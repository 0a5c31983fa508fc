import { type Engine, EngineError, type EngineErrorKind, type EngineHealth } from '../engine.ts'

/** How an engine is: well, or why not. */
export interface EngineState {
  usable: boolean
  detail: string
}

/** How long an engine that refused or failed is asked after the others. */
export const REST_MS = 2000

/** A failure that took longer than a refused connection does. */
const SLOW_MS = 2000

/**
 * An engine that leaves a health check without an answer is silent when nothing else was heard of it for so long either:
 * one that has much to do answers late, and is not to be left alone for that. A question that is not answered for so
 * long is reason enough for a check; many clients do not wait for an engine's own patience to end.
 */
const SILENT_MS = 10_000

/** How long a silent engine is left alone, and longer than a health check takes. */
const SILENT_REST_MS = 5000

/** How long what a health check said of an engine's load is worth something. */
const LOAD_KNOWN_MS = 10_000

/** Said by the connection, or in its place. All others are an engine's own words. */
const unheard: ReadonlySet<EngineErrorKind> = new Set(['unavailable', 'timeout'])

/** After these an engine is asked after the others for a while. */
const restful: ReadonlySet<EngineErrorKind> = new Set(['unavailable', 'draining', 'loading'])

/**
 * One of several engines, what it has to do, and what is known of how it is: from health checks, where the host can make
 * them all the time, and from how its answers turn out. An engine that takes connections and says nothing would cost
 * each request all of its patience: once it is known to be silent, one request at a time asks it how it is (a circuit
 * breaker that is half open), and the others go elsewhere at once.
 */
export class EngineRoute {
  /** Names it for good: jobs find their way by it. */
  readonly name: string
  readonly engine: Engine
  /** Jobs this edge reads from there. */
  numRunning = 0
  readonly #onChange: (name: string, state: EngineState) => void
  #isWell = true
  #askAgainAtMs = 0
  #heardAtMs = performance.now()
  /** Since when an answer is waited for; undefined when none was since it was heard last. */
  #askedAtMs: number | undefined
  #isSilent = false
  #failure: Error | undefined
  /** What the last health check found. */
  #detail: string | undefined
  #others = { numRunning: 0, untilMs: 0 }

  /** @param onChange told what a health check finds, when it is not what the one before found */
  constructor(
    name: string,
    engine: Engine,
    onChange: (name: string, state: EngineState) => void = () => {},
  ) {
    this.name = name
    this.engine = engine
    this.#onChange = onChange
  }

  /**
   * Jobs it has to do: those this edge reads, and those it had beside them at the last health check, which are other edges'
   * and what runs in the background without a reader. Where nobody makes such checks, in a Worker, the latter are
   * left out: nothing tells an edge that a job which it does not read has ended.
   */
  get load(): number {
    const { numRunning, untilMs } = this.#others
    return this.numRunning + (performance.now() < untilMs ? numRunning : 0)
  }

  /** As far as is known; an engine that refused is worth another try after a while. */
  get isWell(): boolean {
    return !this.isDoubtful && (this.#isWell || this.#isDue)
  }

  /** Silent, or perhaps about to be found so: to be asked when it is `awake`. */
  get isDoubtful(): boolean {
    if (this.#isSilent || this.#askedAtMs === undefined) return this.#isSilent
    return performance.now() - this.#askedAtMs >= SILENT_MS
  }

  /** What a request for a silent engine is told; undefined for one that is heard of. */
  get silence(): EngineError | undefined {
    if (!this.#isSilent) return undefined
    const restMs = Math.min(this.#askAgainAtMs - performance.now(), SILENT_REST_MS)
    const message = 'The engine does not answer.'
    return new EngineError({ kind: 'unavailable', message, retryAfterMs: Math.max(restMs, 1) })
  }

  /** Why the last health check got no answer. */
  get failure(): Error | undefined {
    return this.#failure
  }

  get #isDue(): boolean {
    return performance.now() >= this.#askAgainAtMs
  }

  /**
   * Asks the engine and takes note of how that turns out.
   * @throws what `question` rejects with
   */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    const sinceMs = performance.now()
    this.#askedAtMs ??= sinceMs
    try {
      const answer = await question()
      this.#hear()
      return answer
    } catch (error) {
      if (error instanceof EngineError) await this.#learn(error.kind, performance.now() - sinceMs)
      throw error
    }
  }

  /** As `ask`, but of an engine that may be silent. @throws EngineError `silence` while it is */
  async askIfAwake<T>(question: (engine: Engine) => Promise<T>): Promise<T> {
    await this.awake()
    return this.ask(() => question(this.engine))
  }

  /** Has one request at a time find out whether a doubtful engine is silent. @throws EngineError `silence` when it is */
  async awake(): Promise<void> {
    if (this.isDoubtful && this.#isDue) {
      // A time, which passes: in workerd the check may end with the request that makes it, and nobody else can wait for it.
      this.#askAgainAtMs = performance.now() + SILENT_REST_MS
      await this.check(SILENT_REST_MS)
    }
    const { silence } = this
    if (silence !== undefined) throw silence
  }

  /**
   * Asks the engine how it is.
   * @param restMs until it is asked again without a check
   * @returns undefined for one that cannot be asked
   */
  async check(restMs: number): Promise<EngineHealth | undefined> {
    const before = this.numRunning
    const health = await this.engine.health().catch((error: Error) => {
      this.#failure = error
      return undefined
    })
    const nowMs = performance.now()
    this.#isWell = health?.ready === true
    this.#askAgainAtMs = nowMs + restMs
    if (health === undefined) {
      const isUnanswered = this.#failure instanceof EngineError && this.#failure.kind === 'timeout'
      if (!isUnanswered) this.#hear()
      else if (nowMs - this.#heardAtMs >= SILENT_MS) this.#isSilent = true
      this.#tell(describeFailure(this.#failure))
      return undefined
    }
    this.#failure = undefined
    this.#hear()
    this.#others = {
      // Whichever of the two counts it knew: a job must not be taken for somebody else's.
      numRunning: Math.max(0, health.running + health.waiting - Math.max(before, this.numRunning)),
      untilMs: nowMs + LOAD_KNOWN_MS,
    }
    this.#tell(health.reason ?? 'ready')
    return health
  }

  #hear(): void {
    this.#heardAtMs = performance.now()
    this.#askedAtMs = undefined
    this.#isSilent = false
  }

  async #learn(kind: EngineErrorKind, tookMs: number): Promise<void> {
    if (!unheard.has(kind)) this.#hear()
    // The one request may have been too much, or the engine is lost: it can tell.
    else if (tookMs >= SLOW_MS && !this.#isSilent) await this.check(REST_MS)
    if (this.#isSilent || !restful.has(kind)) return
    this.#isWell = false
    this.#askAgainAtMs = performance.now() + REST_MS
  }

  #tell(detail: string): void {
    if (this.#detail === detail) return
    this.#detail = detail
    this.#onChange(this.name, { usable: this.#isWell, detail })
  }
}

/** With what the connection failed of, which tells a wrong certificate from a wrong port. */
function describeFailure(error: Error | undefined): string {
  if (error === undefined) return 'unknown'
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  const code = 'code' in cause ? String(cause.code) : cause.name
  return `${error.message.replace(/\.$/, '')} (${cause.message || code}).`
}
