import { z } from 'zod'
import { messageFields } from '../anthropic/messageRequest.ts'
import { count } from './numbers.ts'

const schemaObject = z.record(z.string(), z.unknown())

const source = z.union([
  z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
  z.object({ type: z.literal('url'), url: z.string() }),
])
const text = z.object({ type: z.literal('text'), text: z.string() })
const image = z.object({ type: z.literal('image'), source })
const document = z.object({
  type: z.literal('document'),
  title: z.string().nullish(),
  source: z.union([
    ...source.options,
    z.object({ type: z.literal('text'), data: z.string() }),
    z.object({
      type: z.literal('content'),
      content: z.union([z.string(), z.array(z.union([text, image]))]),
    }),
  ]),
})
const searchResult = z.object({
  type: z.literal('search_result'),
  title: z.string().optional(),
  source: z.string().optional(),
  content: z.union([z.string(), z.array(text)]),
})
const inner = z.union([text, image, document, searchResult])

const MessageContent = z
  .union([
    z.string(),
    z.array(
      z.union([
        ...inner.options,
        z.object({ type: z.literal('thinking'), thinking: z.string() }),
        z.object({ type: z.literal('redacted_thinking') }),
        z.object({
          type: z.literal('tool_use'),
          id: z.string().optional(),
          name: z.string().min(1),
          input: schemaObject,
        }),
        z.object({
          type: z.literal('tool_result'),
          tool_use_id: z.string().min(1),
          content: z.union([z.string(), z.array(inner), z.null()]).optional(),
          is_error: z.boolean().optional(),
        }),
      ]),
    ),
  ])
  .describe('Text, or content blocks.')

const Messages = z
  .array(z.object({ role: z.enum(['user', 'assistant', 'system']), content: MessageContent }))
  .min(1)

const MessageTools = z
  .array(
    z.union([
      z.object({
        type: z.literal('custom').nullish(),
        name: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
        description: z.string().optional(),
        input_schema: schemaObject,
        strict: z.boolean().optional(),
      }),
      z
        .object({
          type: z.string().regex(/^(bash|text_editor|memory)_/),
          name: z.string().optional(),
        })
        .describe('A tool that Anthropic defines and the client runs.'),
    ]),
  )
  .max(512)
  .nullable()

const MessageToolChoice = z
  .object({
    type: z.enum(['auto', 'any', 'tool', 'none']),
    name: z.string().optional(),
    disable_parallel_tool_use: z.boolean().optional(),
  })
  .nullable()

const MessageThinking = z
  .object({
    type: z.enum(['enabled', 'adaptive', 'between_tools', 'disabled']),
    budget_tokens: z.number().meta({ type: 'integer', minimum: 1 }).nullish(),
    display: z.enum(['summarized', 'omitted']).optional(),
  })
  .nullable()

const MessageFormat = z.object({ type: z.literal('json_schema'), schema: schemaObject }).nullable()

const StopSequences = z.array(z.string().min(1)).max(64).nullable()

const AnthropicUsage = z.object({
  input_tokens: count,
  cache_creation_input_tokens: count,
  cache_read_input_tokens: count,
  output_tokens: count,
  output_tokens_details: z.object({ thinking_tokens: count }),
  service_tier: z.literal('standard'),
})

const Message = z.object({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(
    z.union([
      z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
      z.object({ type: z.literal('text'), text: z.string(), citations: z.null() }),
      z.object({
        type: z.literal('tool_use'),
        id: z.string(),
        name: z.string(),
        input: schemaObject,
        caller: z.object({ type: z.literal('direct') }),
      }),
    ]),
  ),
  stop_reason: z.enum([
    'end_turn',
    'max_tokens',
    'stop_sequence',
    'tool_use',
    'model_context_window_exceeded',
  ]),
  stop_sequence: z.string().nullable(),
  usage: AnthropicUsage,
})

const AnthropicError = z.object({
  type: z.literal('error'),
  error: z.object({ type: z.string(), message: z.string() }),
  request_id: z.string(),
})

/** What Anthropic's routes take and give. */
export const anthropicBodies = {
  MessageRequest: messageFields.meta({ required: ['messages'] }),
  MessageContent,
  Messages,
  MessageTools,
  MessageToolChoice,
  MessageThinking,
  MessageFormat,
  StopSequences,
  Message,
  AnthropicUsage,
  TokenCount: z.object({ input_tokens: count }),
  AnthropicError,
}
