import { z } from 'zod'
import type { GenerateJob, JsonObject, ModelInfo } from '../engine.ts'
import { invalidRequest, unsupported } from '../errors.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import type { OutputGrammar } from '../openai/grammarParts.ts'
import { grammarFields, schemaFields, toOutputGrammar } from '../openai/outputGrammar.ts'
import { jobBasics, samplingFields } from '../openai/samplingFields.ts'
import { thinkingFields, toThinking } from '../openai/thinking.ts'
import { refuseUnsupported, unsupportedInResponses } from '../openai/unsupportedFields.ts'
import { field, optional, parseFields } from '../schema.ts'
import { toInputItems } from './inputItems.ts'
import type { ResponseObject } from './responseObject.ts'
import { toResponseToolChoice } from './responseToolChoice.ts'
import { toResponseTools } from './responseTools.ts'

const textFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object') }),
    z.object({ type: z.literal('json_schema'), ...schemaFields }),
  ],
  "an object with type 'text', 'json_object' or 'json_schema'",
)
const tokens = optional(field.integer(1, Number.MAX_SAFE_INTEGER))

/** The body of POST /v1/responses. */
export const responseFields = z.object({
  ...samplingFields,
  ...grammarFields,
  input: field.any('ResponseInput'),
  instructions: optional(field.string()),
  previous_response_id: optional(field.string()),
  background: optional(field.boolean()),
  store: optional(field.boolean()),
  metadata: optional(field.object()),
  include: optional(z.array(field.string(), 'an array of strings')),
  max_output_tokens: tokens,
  max_completion_tokens: tokens,
  max_tokens: tokens,
  max_tool_calls: tokens,
  top_logprobs: optional(field.integer(0, 20)),
  logprobs: optional(field.boolean()),
  tools: optional(z.array(field.object(), 'an array of tools')),
  tool_choice: field.any('ResponseToolChoice'),
  parallel_tool_calls: optional(field.boolean()),
  reasoning: optional(
    z.object(
      {
        effort: thinkingFields.reasoning_effort,
        summary: optional(field.string()),
        generate_summary: optional(field.string()),
      },
      'an object',
    ),
  ),
  text: optional(
    z.object(
      { format: optional(textFormat), verbosity: optional(field.string()) },
      "an object with 'format'",
    ),
  ),
  truncation: optional(z.enum(['auto', 'disabled'], "'auto' or 'disabled'")),
  prompt_cache_key: optional(field.string()),
  safety_identifier: optional(field.string()),
  user: optional(field.string()),
  enable_thinking: thinkingFields.enable_thinking,
  chat_template_kwargs: thinkingFields.chat_template_kwargs,
  max_reasoning_tokens: thinkingFields.max_reasoning_tokens,
})

type ResponseFields = z.infer<typeof responseFields>

export interface ResponseRequest {
  /** Without its messages, which may come from elsewhere too. */
  job: Omit<GenerateJob, 'prompt'>
  prompt: Omit<Extract<GenerateJob['prompt'], { kind: 'chat' }>, 'messages'>
  /** The response before anything has happened. */
  head: ResponseObject
  input: JsonObject[]
  include: string[]
  stream: boolean
  /** Types of tools that were left out. */
  leftTools: string[]
  /** Names of functions that are strict because the request does not say otherwise. */
  strictByDefault: string[]
  /** The field that `job.grammar` comes from. */
  grammarParam?: string
}

/** What a response is by the server's decision. */
export interface ResponseIdentity {
  id: string
  /** Unix seconds. */
  created: number
  canStore: boolean
}

/**
 * Reads the body of POST /v1/responses.
 * @throws ApiError 400 naming the field; EngineError when no model has the name
 */
export function responseRequest(
  body: JsonObject,
  models: ModelInfo[],
  identity: ResponseIdentity,
): ResponseRequest {
  const request = parseFields(responseFields, body)
  refuse(body, request, identity)
  const model = resolveModel(models, request.model)
  const { definitions, left, strictByDefault } = toResponseTools(
    (request.tools ?? []) as JsonObject[],
  )
  const toolChoice = toResponseToolChoice(request.tool_choice, definitions)
  const include = request.include ?? []
  const maxTokens = request.max_output_tokens ?? request.max_completion_tokens ?? request.max_tokens
  const wantsLogprobs =
    include.includes('message.output_text.logprobs') ||
    request.logprobs === true ||
    (request.top_logprobs ?? 0) > 0
  const output = toGrammar(request)
  return {
    job: {
      ...jobBasics(request, model),
      ...(maxTokens !== undefined && { maxTokens }),
      ...(wantsLogprobs && { logprobs: { top: request.top_logprobs ?? 0 } }),
      ...(request.max_reasoning_tokens !== undefined && {
        maxReasoningTokens: request.max_reasoning_tokens,
      }),
      ...(request.truncation === 'auto' && { truncatePrompt: true }),
      // Where nothing but calls may come there is no text for a grammar to hold.
      ...(output && toolChoice?.mode !== 'required' && { grammar: output.grammar }),
    },
    prompt: {
      kind: 'chat',
      ...(definitions.length > 0 && { tools: definitions }),
      ...(toolChoice && { toolChoice }),
      ...(definitions.length > 0 &&
        request.parallel_tool_calls === false && { parallelToolCalls: false }),
      ...toThinking({
        enable_thinking: request.enable_thinking,
        reasoning_effort: request.reasoning?.effort,
        verbosity: request.text?.verbosity,
        chat_template_kwargs: request.chat_template_kwargs,
      }),
    },
    head: responseHead(request, model.id, identity),
    input: toInputItems(request.input, identity.id),
    include,
    stream: request.stream ?? false,
    leftTools: left,
    strictByDefault,
    ...(output && { grammarParam: output.param }),
  }
}

/** What would be ignored otherwise, and change the answer. */
function refuse(
  body: JsonObject,
  { n, background, store }: ResponseFields,
  { canStore }: ResponseIdentity,
): void {
  for (const param of ['conversation', 'prompt']) {
    if (body[param] == null) continue
    throw unsupported(param, `'${param}' names an object that this server does not keep.`)
  }
  refuseUnsupported(unsupportedInResponses, body)
  if (n !== undefined && n !== 1) throw unsupported('n', 'A response has one choice.')
  if (background && !canStore) {
    throw unsupported('background', 'This server keeps no responses to be fetched later.')
  }
  if (background && store === false) {
    throw invalidRequest('store', "'background' needs 'store': the response is fetched later.")
  }
}

/** Here the format is flat, and within `text`. */
function toGrammar({ text, ...request }: ResponseFields): OutputGrammar | undefined {
  const format = text?.format
  if (format === undefined || format.type === 'text') return toOutputGrammar(request)
  if (request.response_format !== undefined) {
    throw invalidRequest('text.format', "'text.format' and 'response_format' are the same.")
  }
  const output = toOutputGrammar({
    ...request,
    response_format:
      format.type === 'json_schema'
        ? { type: format.type, json_schema: format }
        : { type: format.type, schema: undefined },
  })
  const inSchema = output?.param.endsWith('.schema') ?? false
  return output && { ...output, param: inSchema ? 'text.format.schema' : 'text.format' }
}

function responseHead(
  request: ResponseFields,
  model: string,
  { id, created, canStore }: ResponseIdentity,
): ResponseObject {
  const { reasoning, text } = request
  return {
    id,
    object: 'response',
    created_at: created,
    status: request.background ? 'queued' : 'in_progress',
    background: request.background ?? false,
    completed_at: null,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    model,
    output: [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    reasoning: {
      effort: reasoning?.effort ?? null,
      summary: reasoning?.summary ?? reasoning?.generate_summary ?? null,
    },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: 'default',
    store: canStore && (request.store ?? true),
    temperature: request.temperature ?? null,
    text: {
      format: (text?.format ?? { type: 'text' }) as JsonObject,
      verbosity: text?.verbosity ?? 'medium',
    },
    tool_choice: (request.tool_choice ?? 'auto') as JsonObject | string,
    tools: (request.tools ?? []) as JsonObject[],
    top_logprobs: request.top_logprobs ?? 0,
    top_p: request.top_p ?? null,
    truncation: request.truncation ?? 'disabled',
    usage: null,
    user: request.user ?? null,
    metadata: (request.metadata ?? {}) as JsonObject,
    access_programs: null,
  }
}
