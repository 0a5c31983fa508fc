import type { Context } from 'hono'
import { type ChatPrompt, EngineError, type GenerateJob } from '../engine.ts'
import { workOn } from '../http/backgroundWork.ts'
import { readJsonObject } from '../http/requestBody.ts'
import type { AppEnv, RequestScope } from '../http/requestScope.ts'
import { readRun } from '../jobs/collect.ts'
import { type JobRun, startJob } from '../jobs/jobRun.ts'
import { grammarError } from '../openai/grammarError.ts'
import { attendedRun } from './attendedRun.ts'
import { conversation } from './conversation.ts'
import { responseId } from './itemIds.ts'
import type { ResponseObject } from './responseObject.ts'
import { type ResponseRequest, responseRequest } from './responseRequest.ts'
import type { ResponseRun } from './responseRun.ts'
import type { ResponseStore, StoredResponse } from './responseStore.ts'
import type { ResponsesDeps } from './responsesDeps.ts'
import { refresh, runOf } from './storedRuns.ts'
import { streamResponse } from './streamResponse.ts'

/**
 * Answers POST /v1/responses. What is stored and may be read while it runs (in the background, or as a stream) is a
 * detached job, whose events the engine keeps; anything else ends with its client.
 */
export async function createResponse(c: Context<AppEnv>, deps: ResponsesDeps): Promise<Response> {
  const { scope } = c.var
  const { store } = deps
  const { request, prompt } = await readRequest(c, deps)
  const { head, input, include, stream } = request
  const { background } = head
  const detached = head.store && (background || stream)
  const { owner } = scope.engine
  const stored: StoredResponse = {
    response: head,
    input,
    include,
    detached,
    ...(owner !== undefined && { owner }),
  }
  const job = {
    ...request.job,
    prompt,
    ...(detached && { detach: true, jobId: head.id }),
  }
  const run = await start(scope, job, request).catch((error: unknown) => {
    // A container may have accepted it before it heard that the client had left, and nobody else knows of it.
    if (detached && scope.signal.aborted) workOn(c, () => scope.engine.cancel(head.id))
    throw error
  })
  if (detached) await keepHead(c, stored, run, store)
  if (background) workOn(c, () => refresh(stored, 'end', { engine: scope.engine }, store))
  const response = runOf(stored)
  if (stream) {
    const attended = detached && !background ? attendedRun(c, run, stored, store) : run
    return streamResponse(c, deps, { run: attended, stored, response })
  }
  if (background) {
    run.abort()
    return c.json(response.response)
  }
  const finished = await collect(run, response)
  scope.completionTokens = response.usage?.completionTokens
  if (head.store) await store.put({ ...stored, response: finished })
  return c.json(finished)
}

/**
 * Submits the job. Functions are strict by default only as far as their schemas can be enforced: those a request calls
 * strict itself must be.
 */
async function start(
  scope: RequestScope,
  job: GenerateJob & { prompt: ChatPrompt },
  { strictByDefault, grammarParam }: ResponseRequest,
): Promise<JobRun> {
  const explained = (error: unknown) => grammarError(error, job, grammarParam) ?? error
  try {
    return await startJob(scope, job)
  } catch (error) {
    const isOfTools = error instanceof EngineError && error.param?.startsWith('prompt.tools')
    if (!isOfTools || error.kind !== 'invalid_grammar' || strictByDefault.length === 0) {
      throw explained(error)
    }
    scope.warnings.push(`tools are not strict: ${error.message}`)
  }
  const tools = job.prompt.tools?.map(tool => {
    if (tool.type === 'custom' || !strictByDefault.includes(tool.function.name)) return tool
    const { strict: _, ...loose } = tool.function
    return { type: tool.type, function: loose }
  })
  return startJob(scope, { ...job, prompt: { ...job.prompt, ...(tools && { tools }) } }).catch(
    (error: unknown) => {
      throw explained(error)
    },
  )
}

/**
 * Reads a request, and what it continues.
 * @throws ApiError 400 naming the field, 404 for a response that is not there to be continued
 */
export async function readRequest(
  c: Context<AppEnv>,
  { limits, store, clock, newId }: ResponsesDeps,
): Promise<{ request: ResponseRequest; prompt: ChatPrompt }> {
  const { scope } = c.var
  const body = await readJsonObject(c, limits.maxBodyBytes)
  const identity = { id: responseId(newId()), created: Math.floor(clock() / 1000) }
  const models = await scope.engine.models()
  const request = responseRequest(body, models, { ...identity, canStore: !store.isOff })
  const { input, head, leftTools } = request
  const messages = await conversation(
    { input, previousId: head.previous_response_id, instructions: head.instructions },
    { store, owner: scope.engine.owner, maxBytes: limits.maxBodyBytes },
  )
  scope.warnOfToolsLeft(leftTools)
  return { request, prompt: { ...request.prompt, messages } }
}

/** @throws what the store does; the run has ended then */
async function keepHead(
  c: Context<AppEnv>,
  stored: StoredResponse,
  run: JobRun,
  store: ResponseStore,
): Promise<void> {
  try {
    await store.put(stored)
  } catch (error) {
    run.abort()
    await c.var.scope.engine.cancel(stored.response.id)
    throw error
  }
}

/** @throws EngineError when the engine fails on the way: there is still a status to say so with */
function collect(run: JobRun, response: ResponseRun): Promise<ResponseObject> {
  return readRun(
    run,
    events => {
      for (const event of events) {
        if (event.kind === 'error') throw new EngineError(event.error)
        response.take(event)
      }
    },
    () => response.response,
  )
}
