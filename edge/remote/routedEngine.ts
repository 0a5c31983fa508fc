import {
  type Accepted,
  type DetokenizeJob,
  type Embedded,
  type EmbedJob,
  type Engine,
  EngineError,
  type EngineErrorKind,
  type EngineHealth,
  type GenerateJob,
  type JsonObject,
  type ModelInfo,
  type ModelMetrics,
  type Tokenized,
  type TokenizeJob,
} from '../engine.ts'
import { trackRun } from '../trackedRun.ts'
import { affinityKey, rendezvousOrder } from './affinity.ts'

export interface Route {
  /** Names it for good: jobs find their way by it. */
  name: string
  engine: Engine
}

interface RouteState extends Route {
  /** Jobs this edge has running there. */
  numRunning: number
  /** Asked last when false. */
  usable: boolean
  /** When an engine that could not be reached is asked again without a health check. */
  retryAtMs: number
  /** What the last health check found. */
  state: EngineState | undefined
  /** Why it could not be asked. */
  failure: Error | undefined
}

/** How an engine is: well, or why not. */
export interface EngineState {
  usable: boolean
  detail: string
}

/** How long an engine that failed is left alone, unless a health check finds it well. */
const REST_MS = 2000
/** The same where the next check will tell: longer than that takes to begin, and to end for an engine that is silent. */
const CHECKED_REST_MS = 10_000

/** An engine may have this many times its share of the jobs before they go elsewhere (consistent hashing with bounded loads). */
const LOAD_FACTOR = 1.25

/** After these another engine, perhaps of a newer version, may well say yes; after the others it would say the same. */
const worthAnother: ReadonlySet<EngineErrorKind> = new Set([
  'unavailable',
  'unsupported',
  'draining',
  'loading',
  'busy',
])

/** Of several refusals the client is told the one that ends soonest. */
const hope: EngineErrorKind[] = ['busy', 'loading', 'draining', 'unavailable', 'unsupported']

/**
 * Several engines with the same models as one. A conversation stays with one engine, whose prefix cache knows it, unless
 * that engine is down or has much more to do than the others. A job moves on to the next only before it is accepted.
 */
export class RoutedEngine implements Engine {
  readonly #routes: RouteState[]
  readonly #onChange: (name: string, state: EngineState) => void

  /**
   * @param routes at least one
   * @param onChange told what a health check finds, when it is not what the one before found
   */
  constructor(routes: Route[], onChange: (name: string, state: EngineState) => void = () => {}) {
    this.#routes = routes.map(route => ({
      ...route,
      numRunning: 0,
      usable: true,
      retryAtMs: 0,
      state: undefined,
      failure: undefined,
    }))
    this.#onChange = onChange
  }

  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    const preferred = this.#withinLoad(rendezvousOrder(affinityKey(job), this.#routes))
    return this.#firstOf(preferred, signal, route =>
      counted(route, signal, route.engine.submit(job, signal)),
    )
  }

  /** Any engine may have the job: one after the other is asked, those that are down last. */
  async attach(
    jobId: string,
    after: number,
    owner: string | undefined,
    signal: AbortSignal,
  ): Promise<Accepted> {
    let refusal: EngineError | undefined
    for (const { engine } of byHealth(this.#routes).flat()) {
      try {
        return await engine.attach(jobId, after, owner, signal)
      } catch (error) {
        if (signal.aborted || !(error instanceof EngineError)) throw error
        // The job of an engine that cannot be asked is not unknown.
        if (refusal === undefined || error.kind !== 'job_not_found') refusal = error
      }
    }
    throw refusal ?? noEngine()
  }

  /** All are asked, since several may have jobs of the id; those that are down are waited for when no other had one. */
  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const asked = byHealth(this.#routes).map(routes =>
      Promise.allSettled(routes.map(({ engine }) => engine.cancel(id, owner))),
    )
    let failure: PromiseRejectedResult | undefined
    for (const answers of asked) {
      for (const answer of await answers) {
        if (answer.status === 'rejected') failure ??= answer
        else if (answer.value) return true
      }
    }
    if (failure !== undefined) throw failure.reason
    return false
  }

  embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return this.#firstOf(this.#withinLoad(this.#routes), signal, async route => {
      route.numRunning++
      try {
        return await route.engine.embed(job, signal)
      } finally {
        route.numRunning--
      }
    })
  }

  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.#firstOf(this.#routes, signal, ({ engine }) => engine.tokenize(job, signal))
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return this.#firstOf(this.#routes, signal, ({ engine }) => engine.detokenize(job, signal))
  }

  models(): Promise<ModelInfo[]> {
    return this.#firstOf(this.#routes, undefined, ({ engine }) => engine.models())
  }

  load(model: string): Promise<ModelInfo> {
    return this.#everywhere(engine => engine.load(model))
  }

  unload(model: string): Promise<ModelInfo> {
    return this.#everywhere(engine => engine.unload(model))
  }

  async system(): Promise<JsonObject[]> {
    const all = await Promise.all(this.#routes.map(({ engine }) => engine.system().catch(() => [])))
    return all.flat()
  }

  /** Of the engines that can be reached, one entry for each of their models. */
  async metrics(): Promise<ModelMetrics[]> {
    const all = await Promise.all(
      this.#routes.map(({ engine }) => engine.metrics().catch(() => [])),
    )
    return all.flat()
  }

  /** The sum over all engines; ready when one of them is. */
  async health(): Promise<EngineHealth> {
    const all = await this.#check(REST_MS)
    const known = all.filter(health => health !== undefined)
    const [first] = known
    if (first === undefined) {
      // Without its cause: addresses are for the log.
      const [only, ...others] = this.#routes.map(({ failure }) => failure?.message)
      const alike = only !== undefined && others.every(message => message === only)
      const message = alike ? only : 'No engine can be reached.'
      throw new EngineError({ kind: 'unavailable', message })
    }
    const ready = known.some(health => health.ready)
    const sum = (of: (health: EngineHealth) => number) => known.reduce((n, h) => n + of(h), 0)
    return {
      ready,
      ...(!ready && { reason: first.reason ?? ('failed' as const) }),
      ...(known.length < all.length && {
        detail: `${known.length} of ${all.length} engines can be reached.`,
      }),
      running: sum(h => h.running),
      waiting: sum(h => h.waiting),
      kvPagesUsed: sum(h => h.kvPagesUsed),
      kvPagesTotal: sum(h => h.kvPagesTotal),
    }
  }

  /** Asks every engine how it is; a host that can keep time calls this every second or so. */
  async checkHealth(): Promise<void> {
    await this.#check(CHECKED_REST_MS)
  }

  #check(restMs: number): Promise<(EngineHealth | undefined)[]> {
    return Promise.all(
      this.#routes.map(async route => {
        route.failure = undefined
        const health = await route.engine.health().catch(error => {
          route.failure = error
          return undefined
        })
        route.usable = health?.ready === true
        route.retryAtMs = performance.now() + restMs
        this.#note(route, health ? (health.reason ?? 'ready') : describeFailure(route.failure))
        return health
      }),
    )
  }

  #note(route: RouteState, detail: string): void {
    if (route.state?.detail === detail) return
    route.state = { usable: route.usable, detail }
    this.#onChange(route.name, route.state)
  }

  async #everywhere(change: (engine: Engine) => Promise<ModelInfo>): Promise<ModelInfo> {
    const [first] = await Promise.all(this.#routes.map(({ engine }) => change(engine)))
    if (first === undefined) throw noEngine()
    return first
  }

  /** Puts engines with more than their share after the others. */
  #withinLoad(order: RouteState[]): RouteState[] {
    const total = order.reduce((sum, { numRunning }) => sum + numRunning, 1)
    const share = Math.ceil((LOAD_FACTOR * total) / order.length)
    const [within, above] = partition(order, ({ numRunning }) => numRunning < share)
    return [...within, ...above.sort((a, b) => a.numRunning - b.numRunning)]
  }

  /** Asks one after the other, those that are down last, until one answers or says what all would say. */
  async #firstOf<T>(
    order: RouteState[],
    signal: AbortSignal | undefined,
    ask: (route: RouteState) => Promise<T>,
  ): Promise<T> {
    let best: EngineError | undefined
    for (const route of byHealth(order).flat()) {
      try {
        const answer = await ask(route)
        route.usable = true
        return answer
      } catch (error) {
        if (signal?.aborted || !(error instanceof EngineError)) throw error
        if (!worthAnother.has(error.kind)) throw error
        if (error.kind !== 'busy' && error.kind !== 'unsupported') {
          route.usable = false
          route.retryAtMs = performance.now() + REST_MS
        }
        if (best === undefined || isBetter(error, best)) best = error
      }
    }
    throw best ?? noEngine()
  }
}

/** Those worth asking, and those that are down. */
function byHealth(routes: RouteState[]): [usable: RouteState[], down: RouteState[]] {
  const now = performance.now()
  return partition(routes, route => route.usable || now >= route.retryAtMs)
}

/** On its own, so that what a running job keeps does not include the request for it. */
function counted(
  route: RouteState,
  signal: AbortSignal,
  beginning: Promise<Accepted>,
): Promise<Accepted> {
  route.numRunning++
  return trackRun(beginning, signal, () => {
    route.numRunning--
  })
}

function noEngine(): EngineError {
  return new EngineError({ kind: 'unavailable', message: 'There is no engine.' })
}

/** With what the connection failed of, which tells a wrong certificate from a wrong port. */
function describeFailure(error: Error | undefined): string {
  if (error === undefined) return 'unknown'
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  const code = 'code' in cause ? String(cause.code) : cause.name
  return `${error.message.replace(/\.$/, '')} (${cause.message || code}).`
}

function isBetter(error: EngineError, than: EngineError): boolean {
  const difference = hope.indexOf(error.kind) - hope.indexOf(than.kind)
  if (difference !== 0) return difference < 0
  return (error.retryAfterMs ?? Infinity) < (than.retryAfterMs ?? Infinity)
}

function partition<T>(items: T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = []
  const no: T[] = []
  for (const item of items) (test(item) ? yes : no).push(item)
  return [yes, no]
}
