import type { Context, Hono } from 'hono'
import type { RouteDeps } from '../deps.ts'
import { readJsonObject } from '../http/requestBody.ts'
import type { AppEnv } from '../http/requestScope.ts'
import { readRun } from '../jobs/collect.ts'
import { startJob } from '../jobs/jobRun.ts'
import { replyOf, streamRun } from '../jobs/runRoute.ts'
import { translateErrors } from '../jobs/translateErrors.ts'
import { anthropicParam } from './errorBody.ts'
import { type MessageRequest, messageRequest } from './messageRequest.ts'
import { createMessageCollector } from './messageResponse.ts'
import { MessageStream } from './messageStream.ts'

/** Whether failures are told in Anthropic's words: its clients ask for more below `/messages` than there is here. */
export function isAnthropicPath(path: string): boolean {
  return path === '/messages' || path.startsWith('/messages/')
}

/** Adds Anthropic's Messages routes. */
export function addAnthropicRoutes(app: Hono<AppEnv>, deps: RouteDeps): void {
  app.post('/messages', c =>
    translateErrors(anthropicParam, async () => {
      const { job, stream, format } = await readRequest(c, deps)
      const run = await startJob(c.var.scope, job)
      const reply = replyOf(deps, 'msg_', run)
      if (stream) {
        const { accepted } = run
        const requestId = c.var.scope.id
        return streamRun(c, deps, run, new MessageStream({ reply, accepted, requestId }, format))
      }
      const { take, result } = createMessageCollector(reply, format)
      const { message, usage } = await readRun(run, take, result)
      c.var.scope.completionTokens = usage.completionTokens
      return c.json(message)
    }),
  )

  app.post('/messages/count_tokens', c =>
    translateErrors(anthropicParam, async () => {
      const { job } = await readRequest(c, deps)
      const { model, prompt } = job
      const tokenize = { model, prompt, countOnly: true }
      const { engine, signal } = c.var.scope
      c.var.scope.model = model
      const { count } = await engine.tokenize(tokenize, signal)
      return c.json({ input_tokens: count })
    }),
  )
}

async function readRequest(c: Context<AppEnv>, { limits }: RouteDeps): Promise<MessageRequest> {
  const body = await readJsonObject(c, limits.maxBodyBytes)
  const request = messageRequest(body, await c.var.scope.engine.models())
  c.var.scope.warnOfToolsLeft(request.leftTools)
  return request
}
