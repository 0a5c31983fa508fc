import type { Hono } from 'hono'
import { z } from 'zod'
import type { ClientEngine } from '../access/clientEngine.ts'
import type { RouteDeps } from '../deps.ts'
import type { ModelInfo } from '../engine.ts'
import { readJsonObject } from '../http/requestBody.ts'
import type { AppEnv } from '../http/requestScope.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { translateErrors } from '../jobs/translateErrors.ts'
import { field, parseFields } from '../schema.ts'

/** The body of POST /v1/models/unload, /reload and /status. */
export const modelActionFields = z.object({ model_id: field.string() })

type Action = (engine: ClientEngine, model: ModelInfo) => Promise<ModelInfo>

const actions: Record<string, Action> = {
  unload: (engine, { id }) => engine.unload(id),
  reload: (engine, { id }) => engine.load(id),
  status: async (_, model) => model,
}

/** Adds what frees a model's memory, loads it again and tells where it is. */
export function addModelRoutes(app: Hono<AppEnv>, { limits }: RouteDeps): void {
  for (const [name, act] of Object.entries(actions)) {
    app.post(`/models/${name}`, async c => {
      const body = await readJsonObject(c, limits.maxBodyBytes)
      const { model_id } = parseFields(modelActionFields, body)
      const { scope } = c.var
      const { engine } = scope
      const { id, status } = await translateErrors(
        () => 'model_id',
        async () => act(engine, resolveModel(await engine.allowedModels(), model_id)),
      )
      scope.model = id
      return c.json({ model_id: id, status })
    })
  }
}
