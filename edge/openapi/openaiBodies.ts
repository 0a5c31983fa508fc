import { z } from 'zod'
import { messagesField } from '../openai/chatMessages.ts'
import { chatFields } from '../openai/chatRequest.ts'
import { toolsField } from '../openai/chatTools.ts'
import { completionFields } from '../openai/completionRequest.ts'
import { mixedContent, textContent } from '../openai/contentParts.ts'
import { embeddingFields } from '../openai/embeddingRequest.ts'
import { grammarFields } from '../openai/outputGrammar.ts'
import { toolChoiceField } from '../openai/toolChoice.ts'
import { count } from './numbers.ts'

const Usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count, audio_tokens: count }),
  completion_tokens_details: z.object({
    reasoning_tokens: count,
    audio_tokens: count,
    accepted_prediction_tokens: count,
    rejected_prediction_tokens: count,
  }),
  avg_tok_per_sec: z.number().optional(),
  avg_prompt_tok_per_sec: z.number().optional(),
  avg_compl_tok_per_sec: z.number().optional(),
  total_time_sec: z.number().optional(),
  total_prompt_time_sec: z.number().optional(),
  total_completion_time_sec: z.number().optional(),
})

const tokenFields = { token: z.string(), logprob: z.number(), bytes: z.array(count) }
const TokenLogprob = z.object({ ...tokenFields, top_logprobs: z.array(z.object(tokenFields)) })

const calledFunction = z.object({ name: z.string(), arguments: z.string() })
const ToolCall = z.union([
  z.object({ id: z.string(), type: z.literal('function'), function: calledFunction }),
  z.object({
    id: z.string(),
    type: z.literal('custom'),
    custom: z.object({ name: z.string(), input: z.string() }),
  }),
])

const answerFields = {
  id: z.string(),
  created: count.describe('Unix seconds.'),
  model: z.string(),
  system_fingerprint: z.string().nullable(),
  usage: Usage,
}

const ChatCompletion = z.object({
  ...answerFields,
  object: z.literal('chat.completion'),
  service_tier: z.literal('default'),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        reasoning_content: z.string().optional(),
        reasoning: z.string().optional(),
        tool_calls: z.array(ToolCall).optional(),
        function_call: calledFunction.optional(),
      }),
      logprobs: z
        .object({
          content: z.array(TokenLogprob),
          refusal: z.null(),
          reasoning_content: z.array(TokenLogprob).optional(),
        })
        .nullable(),
      finish_reason: z.enum(['stop', 'length', 'tool_calls', 'function_call']),
    }),
  ),
})

const Completion = z.object({
  ...answerFields,
  object: z.literal('text_completion'),
  choices: z.array(
    z.object({
      index: count,
      text: z.string(),
      logprobs: z
        .object({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number().nullable()),
          top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
          text_offset: z.array(count),
        })
        .nullable(),
      finish_reason: z.enum(['stop', 'length']),
    }),
  ),
})

const Embeddings = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: count,
      embedding: z.union([
        z.array(z.number()),
        z.string().describe('Base64 of little-endian float32.'),
      ]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: count, total_tokens: count }),
})

/** `message` repeats the error's for clients that only look there. */
const ApiError = z.object({
  error: z.object({
    message: z.string(),
    type: z.enum(['invalid_request_error', 'permission_error', 'rate_limit_error', 'server_error']),
    param: z.string().nullable().describe('JSON path of the field at fault.'),
    code: z.string().nullable(),
  }),
  message: z.string(),
})

/** What OpenAI's older routes take and give. */
export const openaiBodies = {
  ChatRequest: chatFields,
  ChatCompletion,
  CompletionRequest: completionFields.meta({ required: ['prompt'] }),
  ChatMessages: messagesField,
  TextContent: textContent,
  MixedContent: mixedContent,
  ChatTools: toolsField,
  ChatToolChoice: toolChoiceField,
  ResponseFormat: grammarFields.response_format,
  OutputGrammar: grammarFields.grammar,
  Completion,
  EmbeddingRequest: embeddingFields,
  Embeddings,
  Usage,
  ToolCall,
  TokenLogprob,
  ApiError,
}
