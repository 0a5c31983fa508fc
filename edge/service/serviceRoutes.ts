import type { Hono } from 'hono'
import type { RouteDeps } from '../deps.ts'
import { EngineError, type EngineHealth } from '../engine.ts'
import type { AppEnv } from '../http/requestScope.ts'

/** Paths that need no key: probes have none. */
export const probePaths = ['/', '/health', '/ready']

/** Prometheus' text format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Adds liveness (the listener is up), readiness (a model can answer) and facts about the machines. */
export function addServiceRoutes(app: Hono<AppEnv>, { metrics }: RouteDeps): void {
  app.get('/', c => c.text('OK'))
  app.get('/health', c => c.text('OK'))
  app.get('/system/info', async c => {
    const [first, ...others] = await c.var.scope.engine.system()
    return c.json({ ...first, ...(others.length > 0 && { others }) })
  })
  app.get('/metrics', async c => {
    if (metrics === undefined) return c.text('Metrics are off.', 503)
    return c.body(await metrics(), 200, { 'content-type': METRICS_TYPE })
  })
  app.get('/ready', async c => {
    const health = await c.var.scope.engine.health().catch(unreachable)
    const { ready, reason, ...rest } = health
    const body = { status: ready ? 'ready' : (reason ?? 'failed'), ...rest }
    return ready ? c.json(body) : c.json(body, 503, { 'retry-after': '1' })
  })
}

function unreachable(error: unknown): Partial<EngineHealth> {
  // Addresses and the like are for the log.
  const detail = error instanceof EngineError ? error.message : 'The engine is not reachable.'
  return { ready: false, reason: 'failed', detail }
}
