import type { Context, Hono } from 'hono'
import type { RouteDeps } from '../deps.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import type { AppEnv } from '../http/requestScope.ts'
import { translateErrors } from '../jobs/translateErrors.ts'
import { createResponse, readRequest } from './createResponse.ts'
import { listItems } from './itemList.ts'
import type { ResponseStore, StoredResponse } from './responseStore.ts'
import { responsesParam } from './responsesParam.ts'
import { resumeStream } from './resumeStream.ts'
import { isOver, refresh } from './storedRuns.ts'

const noStore: ResponseStore = {
  isOff: true,
  put: async () => {},
  get: async () => undefined,
  delete: async () => false,
}

/** Adds the Responses API. @param kept undefined: responses are not stored, whatever a request says */
export function addResponsesRoutes(
  app: Hono<AppEnv>,
  routeDeps: RouteDeps,
  kept: ResponseStore | undefined,
): void {
  const store = kept ?? noStore
  const deps = { ...routeDeps, store }

  app.post('/responses', c => translateErrors(responsesParam, () => createResponse(c, deps)))

  app.post('/responses/input_tokens', c =>
    translateErrors(responsesParam, async () => {
      const { request, prompt } = await readRequest(c, deps)
      const { engine, signal } = c.var.scope
      c.var.scope.model = request.job.model
      const tokenize = { model: request.job.model, prompt, countOnly: true }
      const { count } = await engine.tokenize(tokenize, signal)
      return c.json({ object: 'response.input_tokens', input_tokens: count })
    }),
  )

  app.get('/responses/:id', c =>
    translateErrors(responsesParam, async () => {
      const stored = await find(c, store)
      if (c.req.query('stream') === 'true') return resumeStream(c, deps, stored)
      const { response } = await refresh(stored, 'now', c.var.scope, store)
      return c.json(response)
    }),
  )

  app.get('/responses/:id/input_items', c =>
    translateErrors(responsesParam, async () =>
      c.json(listItems((await find(c, store)).input, c.req.query())),
    ),
  )

  app.delete('/responses/:id', c =>
    translateErrors(responsesParam, async () => {
      const stored = await find(c, store)
      const { id } = stored.response
      await store.delete(id, stored.owner)
      if (!isOver(stored)) await c.var.scope.engine.cancel(id)
      return c.json({ id, object: 'response.deleted', deleted: true })
    }),
  )

  app.post('/responses/:id/cancel', c =>
    translateErrors(responsesParam, async () => {
      const stored = await find(c, store)
      const { id, background } = stored.response
      if (!background) {
        throw invalidRequest('id', `The response '${id}' does not run in the background.`)
      }
      if (!isOver(stored)) await c.var.scope.engine.cancel(id)
      const { response } = await refresh(stored, 'end', c.var.scope, store)
      return c.json(response)
    }),
  )
}

/** @throws ApiError 404 for a response that is unknown, forgotten or somebody else's */
async function find(c: Context<AppEnv>, store: ResponseStore): Promise<StoredResponse> {
  const id = c.req.param('id') ?? ''
  const stored = await store.get(id, c.var.scope.engine.owner)
  if (stored !== undefined) return stored
  throw new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'response_not_found',
    message: `The response '${id}' was not found.`,
    param: 'id',
  })
}
