import type { Hono } from 'hono'
import type { RouteDeps } from '../deps.ts'
import type { GenerateJob } from '../engine.ts'
import { readJsonObject } from '../http/requestBody.ts'
import type { AppEnv, RequestScope } from '../http/requestScope.ts'
import { collectRun } from '../jobs/collect.ts'
import { type JobRun, startJob } from '../jobs/jobRun.ts'
import { replyOf, streamRun } from '../jobs/runRoute.ts'
import { translateErrors } from '../jobs/translateErrors.ts'
import { chatRequest } from './chatRequest.ts'
import { chatResponse } from './chatResponse.ts'
import { ChatStream } from './chatStream.ts'
import { type CompletionFormat, completionRequest } from './completionRequest.ts'
import { completionResponse } from './completionResponse.ts'
import { CompletionStream } from './completionStream.ts'
import { embeddingRequest } from './embeddingRequest.ts'
import { embeddingResponse } from './embeddingResponse.ts'
import { openaiParam, type PromptField } from './errorBody.ts'
import { grammarError } from './grammarError.ts'
import { modelById, modelList } from './models.ts'

/** Adds OpenAI's chat, legacy completion, embedding and model routes. */
export function addOpenaiRoutes(app: Hono<AppEnv>, deps: RouteDeps): void {
  app.get('/models', async c => c.json(modelList(await c.var.scope.engine.allowedModels())))
  app.get('/models/:id{.+}', async c =>
    c.json(
      await told('messages', async () =>
        modelById(await c.var.scope.engine.allowedModels(), c.req.param('id')),
      ),
    ),
  )

  app.post('/chat/completions', c =>
    told('messages', async () => {
      const body = await readJsonObject(c, deps.limits.maxBodyBytes)
      const models = await c.var.scope.engine.models()
      const { job, stream, format, ...terms } = chatRequest(body, models, deps)
      const run = await start(c.var.scope, job, terms)
      const reply = replyOf(deps, 'chatcmpl-', run)
      const { cachedTokens } = run.accepted
      if (stream) return streamRun(c, deps, run, new ChatStream(reply, format, cachedTokens))
      const collected = await collectRun(run, format.numChoices)
      c.var.scope.completionTokens = collected.usage.completionTokens
      return c.json(chatResponse(reply, format, collected))
    }),
  )

  app.post('/completions', c =>
    told('prompt', async () => {
      const body = await readJsonObject(c, deps.limits.maxBodyBytes)
      const models = await c.var.scope.engine.models()
      const { job, stream, format, ...terms } = completionRequest(body, models, deps)
      const echoes = await promptTexts(c.var.scope, job.model, format)
      const run = await start(c.var.scope, job, terms)
      const reply = replyOf(deps, 'cmpl-', run)
      const { cachedTokens } = run.accepted
      if (stream) {
        return streamRun(c, deps, run, new CompletionStream(reply, format, echoes, cachedTokens))
      }
      const collected = await collectRun(run, format.prompts.length * format.candidates)
      c.var.scope.completionTokens = collected.usage.completionTokens
      return c.json(completionResponse(reply, format, echoes, collected))
    }),
  )

  app.post('/embeddings', c =>
    told('input', async () => {
      const { scope } = c.var
      const body = await readJsonObject(c, deps.limits.maxBodyBytes)
      const { job, base64 } = embeddingRequest(body, await scope.engine.models())
      scope.model = job.model
      const embedded = await scope.engine.embed(job, scope.signal)
      scope.promptTokens = embedded.promptTokens
      return c.json(embeddingResponse(embedded, base64))
    }),
  )
}

/** Tells of the engine's failures in terms of OpenAI's fields. @param promptField holds what is asked */
function told<T>(promptField: PromptField, handler: () => Promise<T>): Promise<T> {
  return translateErrors((path, kind) => openaiParam(path, kind, promptField), handler)
}

/** A language that does not compile is told with the field it comes from, which the job does not know. */
function start(
  scope: RequestScope,
  job: GenerateJob,
  { grammarParam }: { grammarParam?: string },
): Promise<JobRun> {
  return startJob(scope, job).catch((error: unknown) => {
    throw grammarError(error, job, grammarParam) ?? error
  })
}

/** The text of every prompt that is to be repeated; prompts of token ids have to be turned into text first. */
async function promptTexts(
  { engine, signal }: RequestScope,
  model: string,
  { echo, prompts }: CompletionFormat,
): Promise<string[]> {
  if (!echo) return []
  return Promise.all(
    prompts.map(prompt =>
      typeof prompt === 'string'
        ? prompt
        : engine.detokenize({ model, tokens: prompt, skipSpecialTokens: false }, signal),
    ),
  )
}
