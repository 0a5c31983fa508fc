import type { Hono } from 'hono'
import { z } from 'zod'
import type { RouteDeps } from '../deps.ts'
import type { ChatPrompt, EngineErrorKind, JsonObject, TokenizeJob } from '../engine.ts'
import { readJsonObject } from '../http/requestBody.ts'
import type { AppEnv, RequestScope } from '../http/requestScope.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { translateErrors } from '../jobs/translateErrors.ts'
import { messagesField, toChatMessages } from '../openai/chatMessages.ts'
import { toolsField, toTools } from '../openai/chatTools.ts'
import { checkTokenId } from '../openai/samplingFields.ts'
import { defined, field, invalidValue, optional, parseFields } from '../schema.ts'

/**
 * The body of POST /v1/tokenize and /apply-template. What is to be split goes by the name of whoever the client was written
 * for: `text` here, `prompt` (vLLM) or `content` (llama.cpp), or `messages`.
 */
export const tokenizeFields = z.object({
  model: optional(field.string()),
  text: optional(field.string()),
  prompt: optional(field.string()),
  content: optional(field.string()),
  messages: optional(messagesField),
  tools: toolsField,
  add_generation_prompt: optional(field.boolean()),
  add_special_tokens: optional(field.boolean()),
  add_special: optional(field.boolean()),
  return_pieces: optional(field.boolean()),
  return_token_strs: optional(field.boolean()),
  with_pieces: optional(field.boolean()),
  chat_template_kwargs: optional(field.object()),
})

/** The body of POST /v1/detokenize. */
export const detokenizeFields = z.object({
  model: optional(field.string()),
  tokens: z.array(z.number('a token id'), 'an array of token ids'),
  skip_special_tokens: optional(field.boolean()),
})

/** Adds tokenize and detokenize, in the shapes of this server, vLLM and llama.cpp at once, and llama.cpp's apply-template. */
export function addTokenizeRoutes(app: Hono<AppEnv>, { limits }: RouteDeps): void {
  app.post('/tokenize', async c => {
    const body = await readJsonObject(c, limits.maxBodyBytes)
    return c.json(await translateErrors(toParam, () => tokenize(c.var.scope, body)))
  })

  app.post('/detokenize', async c => {
    const { scope } = c.var
    const body = await readJsonObject(c, limits.maxBodyBytes)
    return c.json(
      await translateErrors(toParam, async () => {
        const request = parseFields(detokenizeFields, body)
        const model = resolveModel(await scope.engine.models(), request.model)
        scope.model = model.id
        const job = {
          model: model.id,
          tokens: request.tokens.map(id => checkTokenId(id, 'tokens', model)),
          skipSpecialTokens: request.skip_special_tokens ?? false,
        }
        const text = await scope.engine.detokenize(job, scope.signal)
        return { text, prompt: text, content: text }
      }),
    )
  })

  app.post('/apply-template', async c => {
    const { scope } = c.var
    const body = await readJsonObject(c, limits.maxBodyBytes)
    return c.json(
      await translateErrors(toParam, async () => {
        const request = parseFields(tokenizeFields, body)
        const model = resolveModel(await scope.engine.models(), request.model)
        scope.model = model.id
        const job = {
          model: model.id,
          prompt: chatPrompt(request, 'a conversation'),
          rendered: true,
          countOnly: true,
        }
        const { rendered = '' } = await scope.engine.tokenize(job, scope.signal)
        return { prompt: rendered }
      }),
    )
  })
}

async function tokenize(scope: RequestScope, body: JsonObject) {
  const request = parseFields(tokenizeFields, body)
  const model = resolveModel(await scope.engine.models(), request.model)
  scope.model = model.id
  const withPieces = request.with_pieces ?? false
  const wanted = request.return_pieces || request.return_token_strs || withPieces
  const job: TokenizeJob = {
    model: model.id,
    prompt: toPrompt(request),
    // llama.cpp adds none unless asked; it is known by its names for things.
    addSpecialTokens:
      request.add_special_tokens ?? request.add_special ?? request.content === undefined,
    ...(wanted && { pieces: true }),
  }
  const { tokens, pieces = [], count, maxModelLen } = await scope.engine.tokenize(job, scope.signal)
  scope.promptTokens = count
  return {
    tokens: withPieces ? tokens.map((id, i) => ({ id, piece: pieces[i] ?? '' })) : tokens,
    count,
    max_model_len: maxModelLen,
    ...(request.return_pieces && { pieces }),
    ...(request.return_token_strs && { token_strs: pieces }),
  }
}

type TokenizeFields = z.infer<typeof tokenizeFields>

function toPrompt(request: TokenizeFields): TokenizeJob['prompt'] {
  const text = request.text ?? request.prompt ?? request.content
  if (text !== undefined) return { kind: 'text', text }
  return chatPrompt(request, "a conversation, unless there is a 'text'")
}

function chatPrompt(request: TokenizeFields, expected: string): ChatPrompt {
  if (request.messages === undefined) {
    throw invalidValue('messages', undefined, expected)
  }
  const tools = toTools(request.tools, undefined)
  return {
    kind: 'chat',
    messages: toChatMessages(request.messages),
    ...(tools.length > 0 && { tools }),
    ...defined({
      addGenerationPrompt: request.add_generation_prompt,
      templateOptions: request.chat_template_kwargs as JsonObject | undefined,
    }),
  }
}

/** Where in the request the mistake is: its model, or its conversation. */
function toParam(path: string | undefined, kind: EngineErrorKind): string | undefined {
  if (kind === 'model_not_found') return 'model'
  return path?.startsWith('prompt.messages') ? path.slice('prompt.'.length) : undefined
}
