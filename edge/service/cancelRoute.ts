import type { Hono } from 'hono'
import { EngineError } from '../engine.ts'
import type { AppEnv } from '../http/requestScope.ts'

/** Adds the route that ends a running request, by its `x-request-id` or the id of its job. Only its own client can. */
export function addCancelRoute(app: Hono<AppEnv>): void {
  app.post('/requests/:id/cancel', async c => {
    const id = c.req.param('id')
    if (await c.var.scope.engine.cancel(id)) return c.json({ id, cancelled: true })
    throw new EngineError({
      kind: 'job_not_found',
      message: `No request '${id}' is running: it has ended, or never was one of yours. The id is that of the 'x-request-id' header.`,
    })
  })
}
