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
import { TrackedRun } from '../trackedRun.ts'
import { affinityKey, rendezvousOrder } from './affinity.ts'
import { EngineRoute, type EngineState, REST_MS } from './engineRoute.ts'

/** An engine and its name, which is for good: jobs find their way by it. */
export interface Route {
  name: string
  engine: Engine
}

/** Until the next health check has told: longer than that takes to begin, and to end for an engine that is silent. */
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
  readonly #routes: EngineRoute[]

  /**
   * @param routes at least one
   * @param onChange told what a health check finds, when it is not what the one before found
   */
  constructor(routes: Route[], onChange?: (name: string, state: EngineState) => void) {
    this.#routes = routes.map(({ name, engine }) => new EngineRoute(name, engine, onChange))
  }

  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    const preferred = withinLoad(rendezvousOrder(affinityKey(job), this.#routes))
    return firstOf(preferred, signal, route =>
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
    for await (const route of inTurn(this.#routes)) {
      try {
        return await route.ask(() => route.engine.attach(jobId, after, owner, signal))
      } catch (error) {
        if (signal.aborted || !(error instanceof EngineError)) throw error
        // The job of an engine that cannot be asked is not unknown.
        if (refusal === undefined || error.kind !== 'job_not_found') refusal = error
      }
    }
    throw silenceOf(this.#routes) ?? refusal ?? noEngine()
  }

  /** All are asked, since several may have jobs of the id; those that are down are waited for when no other had one. */
  async cancel(id: string, owner: string | undefined): Promise<boolean> {
    const asked = partition(this.#routes, ({ isWell }) => isWell).map(routes =>
      Promise.allSettled(routes.map(route => route.askIfAwake(engine => engine.cancel(id, owner)))),
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
    return firstOf(withinLoad(this.#routes), signal, async route => {
      route.numRunning++
      try {
        return await route.engine.embed(job, signal)
      } finally {
        route.numRunning--
      }
    })
  }

  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return firstOf(this.#routes, signal, ({ engine }) => engine.tokenize(job, signal))
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return firstOf(this.#routes, signal, ({ engine }) => engine.detokenize(job, signal))
  }

  models(): Promise<ModelInfo[]> {
    return firstOf(this.#routes, undefined, ({ engine }) => engine.models())
  }

  load(model: string): Promise<ModelInfo> {
    return this.#everywhere(engine => engine.load(model))
  }

  unload(model: string): Promise<ModelInfo> {
    return this.#everywhere(engine => engine.unload(model))
  }

  system(): Promise<JsonObject[]> {
    return this.#ofAll(engine => engine.system())
  }

  /** Of the engines that can be reached, one entry for each of their models. */
  metrics(): Promise<ModelMetrics[]> {
    return this.#ofAll(engine => engine.metrics())
  }

  /** The sum over all engines; ready when one of them is. */
  async health(): Promise<EngineHealth> {
    const all = await Promise.all(this.#routes.map(route => route.check(REST_MS)))
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
    await Promise.all(this.#routes.map(route => route.check(CHECKED_REST_MS)))
  }

  /** @throws EngineError of one that cannot be asked */
  async #everywhere(change: (engine: Engine) => Promise<ModelInfo>): Promise<ModelInfo> {
    const [first] = await Promise.all(this.#routes.map(route => route.askIfAwake(change)))
    if (first === undefined) throw noEngine()
    return first
  }

  /** What those that can be asked say. */
  async #ofAll<T>(ask: (engine: Engine) => Promise<T[]>): Promise<T[]> {
    const all = await Promise.all(this.#routes.map(route => route.askIfAwake(ask).catch(() => [])))
    return all.flat()
  }
}

/** Puts engines with more than their share after the others. */
function withinLoad(order: EngineRoute[]): EngineRoute[] {
  const total = order.reduce((sum, { load }) => sum + load, 1)
  const share = Math.ceil((LOAD_FACTOR * total) / order.length)
  const [within, above] = partition(order, ({ load }) => load < share)
  return [...within, ...above.sort((a, b) => a.load - b.load)]
}

/** Asks one after the other until one answers or says what all would say. */
async function firstOf<T>(
  order: EngineRoute[],
  signal: AbortSignal | undefined,
  ask: (route: EngineRoute) => Promise<T>,
): Promise<T> {
  let best: EngineError | undefined
  for await (const route of inTurn(order)) {
    try {
      return await route.ask(() => ask(route))
    } catch (error) {
      if (signal?.aborted || !(error instanceof EngineError)) throw error
      // Whatever it did not say, another may.
      if (route.silence !== undefined) continue
      if (!worthAnother.has(error.kind)) throw error
      best = betterOf(best, error)
    }
  }
  throw betterOf(best, silenceOf(order)) ?? noEngine()
}

/** Those worth asking, those that are down last; doubtful ones only when they turn out not to be silent. */
async function* inTurn(order: EngineRoute[]): AsyncGenerator<EngineRoute, void> {
  const [doubtful, heard] = partition(order, ({ isDoubtful }) => isDoubtful)
  // Beside the others: nobody waits for them while another one answers.
  const waking = doubtful.map(route =>
    route.awake().then(
      () => route,
      () => undefined,
    ),
  )
  const [well, down] = partition(heard, ({ isWell }) => isWell)
  yield* well
  yield* down
  for (const woken of waking) {
    const route = await woken
    if (route !== undefined) yield route
  }
}

/** What to say where one is silent. */
function silenceOf(routes: EngineRoute[]): EngineError | undefined {
  return routes.map(({ silence }) => silence).reduce(betterOf, undefined)
}

/** On its own, so that what a running job keeps does not include the request for it. */
function counted(
  route: EngineRoute,
  signal: AbortSignal,
  beginning: Promise<Accepted>,
): Promise<Accepted> {
  route.numRunning++
  const run = new TrackedRun(signal, () => {
    route.numRunning--
  })
  return run.follow(beginning)
}

function noEngine(): EngineError {
  return new EngineError({ kind: 'unavailable', message: 'There is no engine.' })
}

/** Of two refusals the one that ends sooner. */
function betterOf(a: EngineError | undefined, b: EngineError | undefined): EngineError | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const difference = hope.indexOf(a.kind) - hope.indexOf(b.kind)
  if (difference !== 0) return difference < 0 ? a : b
  return (b.retryAfterMs ?? Infinity) < (a.retryAfterMs ?? Infinity) ? b : a
}

function partition<T>(items: T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = []
  const no: T[] = []
  for (const item of items) (test(item) ? yes : no).push(item)
  return [yes, no]
}
