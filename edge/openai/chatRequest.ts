import { z } from 'zod'
import type { ChatPrompt, GenerateJob, JsonObject, ModelInfo } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { field, optional, parseFields } from '../schema.ts'
import { messagesField, toChatMessages } from './chatMessages.ts'
import { functionsField, toolName, toolsField, toTools } from './chatTools.ts'
import { grammarFields, toOutputGrammar } from './outputGrammar.ts'
import { jobBasics, type StreamUsage, samplingFields, streamUsage } from './samplingFields.ts'
import { thinkingFields, toThinking } from './thinking.ts'
import { functionCallField, toolChoiceField, toToolChoice } from './toolChoice.ts'
import {
  ignoredChatFields,
  refuseUnsupported,
  unsupportedChatFields,
  unsupportedInChat,
} from './unsupportedFields.ts'

/** Those that make the job. The others need no parsing: they are refused by name, or of no consequence. */
const readFields = z.object({
  ...samplingFields,
  ...grammarFields,
  ...thinkingFields,
  messages: messagesField,
  tools: toolsField,
  tool_choice: toolChoiceField,
  parallel_tool_calls: optional(field.boolean()),
  functions: functionsField,
  function_call: functionCallField,
  max_tokens: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  max_completion_tokens: optional(field.integer(1, Number.MAX_SAFE_INTEGER)),
  logprobs: optional(field.boolean()),
  top_logprobs: optional(field.integer(0, 20)),
  include_reasoning: optional(field.boolean()),
})

/** The body of POST /v1/chat/completions. */
export const chatFields = readFields.extend({ ...unsupportedChatFields, ...ignoredChatFields })

type ChatFields = z.infer<typeof readFields>

/** How the calls of an answer are written. */
export interface CallFormat {
  /** Names of the tools whose input is text. */
  customTools: ReadonlySet<string>
  /** The client only knows the one `function_call` that came before `tool_calls`. */
  functionCall: boolean
}

/** What the answer to a chat request must look like. */
export interface ChatFormat {
  numChoices: number
  logprobs: boolean
  /** Send reasoning under its second name, `reasoning`, as well. */
  includeReasoning: boolean
  calls: CallFormat
  streamUsage: StreamUsage
  strictOpenai: boolean
}

export interface ChatRequest {
  job: GenerateJob
  stream: boolean
  format: ChatFormat
  /** The field that `job.grammar` comes from. */
  grammarParam?: string
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
  const request = parseFields(readFields, body)
  refuseUnsupported(unsupportedInChat, body)
  const model = resolveModel(models, request.model)
  const prompt = toPrompt(request)
  const maxTokens = request.max_completion_tokens ?? request.max_tokens
  if (request.top_logprobs !== undefined && !request.logprobs) {
    throw invalidRequest('top_logprobs', "'top_logprobs' needs 'logprobs' to be true.")
  }
  const output = toOutputGrammar(request)
  // Where nothing but calls may come there is no text for a grammar to hold.
  const grammar = prompt.toolChoice?.mode === 'required' ? undefined : output?.grammar
  const job: GenerateJob = {
    ...jobBasics(request, model),
    prompt,
    ...(maxTokens !== undefined && { maxTokens }),
    ...(grammar && { grammar }),
    ...(request.max_reasoning_tokens !== undefined && {
      maxReasoningTokens: request.max_reasoning_tokens,
    }),
    ...(request.logprobs && { logprobs: { top: request.top_logprobs ?? 0 } }),
  }
  return {
    job,
    stream: request.stream ?? false,
    format: {
      numChoices: job.n,
      logprobs: request.logprobs ?? false,
      includeReasoning: request.include_reasoning ?? false,
      calls: {
        customTools: customTools(prompt),
        functionCall: isDeprecated(request),
      },
      streamUsage: streamUsage(request, strictOpenai ? 'none' : 'finish'),
      strictOpenai,
    },
    ...(output && { grammarParam: output.param }),
  }
}

function toPrompt(request: ChatFields): ChatPrompt {
  const tools = toTools(request.tools, request.functions)
  const toolChoice = toToolChoice(request, tools)
  // A deprecated answer has room for one call.
  const oneCall = request.parallel_tool_calls === false || isDeprecated(request)
  return {
    kind: 'chat',
    messages: toChatMessages(request.messages),
    ...(tools.length > 0 && { tools }),
    ...(toolChoice && { toolChoice }),
    ...(tools.length > 0 && oneCall && { parallelToolCalls: false }),
    ...toThinking(request),
  }
}

const NO_NAMES: ReadonlySet<string> = new Set()

/** One empty set for all: it is there for as long as the answer takes. */
function customTools({ tools = [] }: ChatPrompt): ReadonlySet<string> {
  const custom = tools.filter(({ type }) => type === 'custom')
  return custom.length === 0 ? NO_NAMES : new Set(custom.map(toolName))
}

function isDeprecated({ tools, functions }: ChatFields): boolean {
  return (tools ?? []).length === 0 && (functions ?? []).length > 0
}
