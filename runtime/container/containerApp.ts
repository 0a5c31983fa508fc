import { createHash, timingSafeEqual } from 'node:crypto'
import { IttyRouter } from 'itty-router'
import type { Connection } from '../../edge/deps.ts'
import {
  type DetokenizeJob,
  type EmbedJob,
  type Engine,
  EngineError,
  type EngineErrorData,
  type EngineErrorKind,
  type GenerateJob,
  type TokenizeJob,
} from '../../edge/engine.ts'
import { SlowBody } from '../../edge/http/readBytes.ts'
import { enginePaths, SECRET_HEADER } from '../../edge/remote/engineWire.ts'
import { eventsResponse } from './eventsResponse.ts'
import { readJob } from './readJob.ts'

export interface ContainerOptions {
  /** Absent: every caller is served. */
  secret?: string
  limits: { maxBodyBytes: number }
  /** Failures the edge only sees as `internal`. */
  onInternalError: (error: unknown) => void
  /** Everything measured so far, as Prometheus text; absent: there is no GET /metrics. */
  metrics?: () => Promise<string>
  /** Longest silence on a stream of events; default 5 s. */
  keepAliveMs?: number
}

const METRICS_HEADERS = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }

/** Nobody reads it; the caller has gone. */
const CLIENT_CLOSED_REQUEST = 499

/** For people and proxies that look on; an edge goes by the kind. */
const statuses: Record<EngineErrorKind, number> = {
  invalid: 400,
  unsupported: 400,
  too_large: 413,
  model_not_found: 404,
  job_not_found: 404,
  context_length: 400,
  unsupported_media: 400,
  unreachable_media: 400,
  invalid_grammar: 400,
  conflict: 409,
  cancelled: 499,
  busy: 429,
  loading: 503,
  draining: 503,
  unavailable: 502,
  timeout: 504,
  internal: 500,
}

/** An engine as an HTTP application: see `edge/remote/engineWire.ts` for what is said on it. */
export function createContainerApp(
  engine: Engine,
  options: ContainerOptions,
): { fetch(request: Request, connection?: Connection): Promise<Response> } {
  const router = IttyRouter()
  const authorized = secretCheck(options.secret)
  const { maxBodyBytes } = options.limits

  // Probes have no secret, and learn nothing worth one.
  router.get('/health', () => new Response('OK'))
  router.get('/ready', async () => {
    const { ready, reason } = await engine.health()
    const status = ready ? 'ready' : (reason ?? 'failed')
    return ready
      ? Response.json({ status })
      : Response.json({ status }, { status: 503, headers: { 'retry-after': '1' } })
  })

  router.all('*', request =>
    authorized(request.headers.get(SECRET_HEADER))
      ? undefined
      : failure(401, { kind: 'unavailable', message: 'The engine refused the shared secret.' }),
  )

  const { metrics } = options
  if (metrics !== undefined) {
    router.get('/metrics', async () => new Response(await metrics(), { headers: METRICS_HEADERS }))
  }
  router.get(enginePaths.health, async () => Response.json(await engine.health()))
  router.get(enginePaths.models, async () => Response.json({ models: await engine.models() }))
  router.post(enginePaths.generate, async (request, connection: Connection) => {
    const job = (await readJob(request, maxBodyBytes, connection)) as unknown as GenerateJob
    const begin = (signal: AbortSignal) => engine.submit(job, signal)
    return eventsResponse(begin, request.signal, connection, options.keepAliveMs)
  })
  router.get(`${enginePaths.jobs}/:id`, (request, connection: Connection) => {
    const { params, query, signal } = request
    const after = Number(query.after ?? -1)
    if (!Number.isSafeInteger(after) || after < -1) {
      throw new EngineError({ kind: 'invalid', message: "'after' is the number of an event." })
    }
    const owner = typeof query.owner === 'string' ? query.owner : undefined
    return eventsResponse(
      reading => engine.attach(decodedId(params.id), after, owner, reading),
      signal,
      connection,
      options.keepAliveMs,
    )
  })
  router.post(enginePaths.cancel, async (request, connection: Connection) => {
    const { id, owner } = await readJob(request, maxBodyBytes, connection)
    const named = typeof owner === 'string' ? owner : undefined
    return Response.json({ cancelled: await engine.cancel(String(id), named) })
  })
  router.post(enginePaths.embed, async (request, connection: Connection) => {
    const job = (await readJob(request, maxBodyBytes, connection)) as unknown as EmbedJob
    return Response.json(await engine.embed(job, request.signal))
  })
  for (const change of ['load', 'unload'] as const) {
    router.post(enginePaths[change], async (request, connection: Connection) => {
      const { model } = await readJob(request, maxBodyBytes, connection)
      return Response.json(await engine[change](String(model)))
    })
  }
  router.get(enginePaths.system, async () => Response.json({ machines: await engine.system() }))
  router.get(enginePaths.metrics, async () => Response.json({ models: await engine.metrics() }))
  router.post(enginePaths.tokenize, async (request, connection: Connection) => {
    const job = (await readJob(request, maxBodyBytes, connection)) as unknown as TokenizeJob
    return Response.json(await engine.tokenize(job, request.signal))
  })
  router.post(enginePaths.detokenize, async (request, connection: Connection) => {
    const job = (await readJob(request, maxBodyBytes, connection)) as unknown as DetokenizeJob
    return Response.json({ text: await engine.detokenize(job, request.signal) })
  })
  router.all('*', () =>
    failure(404, { kind: 'unsupported', message: 'The engine has no such route.' }),
  )

  return {
    async fetch(request, connection = {}) {
      try {
        return await router.fetch(request, connection)
      } catch (error) {
        if (request.signal.aborted) return new Response(null, { status: CLIENT_CLOSED_REQUEST })
        if (error instanceof SlowBody) {
          return failure(408, { kind: 'timeout', message: error.message })
        }
        if (error instanceof EngineError) return failure(statuses[error.kind], error.toData())
        options.onInternalError(error)
        return failure(500, { kind: 'internal', message: 'The engine had an error.' })
      }
    },
  }
}

/** @throws EngineError `job_not_found` for what is no encoded text */
function decodedId(id = ''): string {
  try {
    return decodeURIComponent(id)
  } catch (cause) {
    throw new EngineError({ kind: 'job_not_found', message: `There is no job '${id}'.` }, { cause })
  }
}

function failure(status: number, error: EngineErrorData): Response {
  const headers = { ...(status === 503 && { 'retry-after': '1' }) }
  return Response.json({ error }, { status, headers })
}

/** Compares digests, so that neither length nor content of the secret shows in the time taken. */
function secretCheck(secret: string | undefined): (presented: string | null) => boolean {
  if (secret === undefined) return () => true
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(secret)
  return presented => timingSafeEqual(digest(presented ?? ''), expected)
}
