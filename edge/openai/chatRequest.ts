import { z } from 'zod'
import type { GenerateJob, JsonObject, ModelInfo } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { resolveModel } from '../resolveModel.ts'
import { field, optional, parseFields } from '../schema.ts'
import { toChatMessages } from './chatMessages.ts'
import { toTools } from './chatTools.ts'
import { jobBasics, type StreamUsage, samplingFields, streamUsage } from './samplingFields.ts'
import { toTemplateOptions } from './thinking.ts'
import { refuseUnsupported, unsupportedInChat } from './unsupportedFields.ts'

const chatFields = z.object({
  ...samplingFields,
  messages: field.any(),
  tools: field.any(),
  max_tokens: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  max_completion_tokens: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  logprobs: optional(field.boolean()),
  top_logprobs: optional(field.integer(0, 20)),
  enable_thinking: optional(field.boolean()),
  reasoning_effort: optional(field.string()),
  verbosity: optional(field.string()),
  chat_template_kwargs: optional(field.object()),
  include_reasoning: optional(field.boolean()),
})

/** What the answer to a chat request must look like. */
export interface ChatFormat {
  numChoices: number
  logprobs: boolean
  /** Send reasoning under its second name, `reasoning`, as well. */
  includeReasoning: boolean
  streamUsage: StreamUsage
  strictOpenai: boolean
}

export interface ChatRequest {
  job: GenerateJob
  stream: boolean
  format: ChatFormat
}

/**
 * Turns the body of POST /v1/chat/completions into a job.
 * @throws ApiError 400 naming the field; EngineError when no model has the name
 */
export function chatRequest(
  body: JsonObject,
  models: ModelInfo[],
  { strictOpenai }: { strictOpenai: boolean },
): ChatRequest {
  const request = parseFields(chatFields, body)
  refuseUnsupported(unsupportedInChat, body)
  const model = resolveModel(models, request.model)
  const tools = toTools(request.tools)
  const templateOptions = toTemplateOptions(request)
  const maxTokens = request.max_completion_tokens ?? request.max_tokens
  if (request.top_logprobs !== undefined && !request.logprobs) {
    throw invalidRequest('top_logprobs', "'top_logprobs' needs 'logprobs' to be true.")
  }
  const job: GenerateJob = {
    ...jobBasics(request, model),
    prompt: {
      kind: 'chat',
      messages: toChatMessages(request.messages),
      ...(tools.length > 0 && { tools }),
      ...(Object.keys(templateOptions).length > 0 && { templateOptions }),
    },
    ...(maxTokens !== undefined && { maxTokens }),
    ...(request.logprobs && { logprobs: { top: request.top_logprobs ?? 0 } }),
  }
  return {
    job,
    stream: request.stream ?? false,
    format: {
      numChoices: job.n,
      logprobs: request.logprobs ?? false,
      includeReasoning: request.include_reasoning ?? false,
      streamUsage: streamUsage(request, strictOpenai ? 'none' : 'finish'),
      strictOpenai,
    },
  }
}
