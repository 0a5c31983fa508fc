import { z } from 'zod'
import { itemField } from '../responses/inputItems.ts'
import { responseFields } from '../responses/responseRequest.ts'
import { count } from './numbers.ts'

const anyObject = z.record(z.string(), z.unknown())

const ResponseInput = z
  .union([z.string(), z.array(itemField)])
  .describe('What the user says, or items of a conversation.')

const ResponseToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  anyObject.describe('An object that names tools.'),
  z.null(),
])

const status = z.enum(['in_progress', 'completed', 'incomplete'])
const itemFields = { id: z.string(), status }

const OutputItem = z.union([
  z.object({
    ...itemFields,
    type: z.literal('message'),
    role: z.literal('assistant'),
    content: z.array(
      z.object({
        type: z.literal('output_text'),
        text: z.string(),
        annotations: z.array(z.unknown()),
        logprobs: z.array(anyObject),
      }),
    ),
  }),
  z.object({
    ...itemFields,
    type: z.literal('reasoning'),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
    content: z.array(z.object({ type: z.literal('reasoning_text'), text: z.string() })),
    encrypted_content: z.string().optional(),
  }),
  z.object({
    ...itemFields,
    type: z.literal('function_call'),
    call_id: z.string(),
    name: z.string(),
    namespace: z.string().optional(),
    arguments: z.string(),
  }),
  z.object({
    ...itemFields,
    type: z.literal('custom_tool_call'),
    call_id: z.string(),
    name: z.string(),
    namespace: z.string().optional(),
    input: z.string(),
  }),
  z.object({
    ...itemFields,
    type: z.enum(['local_shell_call', 'shell_call', 'apply_patch_call']),
    call_id: z.string(),
  }),
])

const Response = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: count.describe('Unix seconds.'),
  status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  background: z.boolean(),
  completed_at: count.nullable(),
  error: z.object({ code: z.string(), message: z.string(), type: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: count.nullable(),
  max_tool_calls: count.nullable(),
  model: z.string(),
  output: z.array(OutputItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.string().nullable(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
  store: z.boolean(),
  temperature: z.number().nullable(),
  text: anyObject,
  tool_choice: z.unknown(),
  tools: z.array(anyObject),
  top_logprobs: count,
  top_p: z.number().nullable(),
  truncation: z.enum(['auto', 'disabled']),
  usage: z
    .object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: count }),
      total_tokens: count,
    })
    .nullable(),
  metadata: anyObject,
})

const InputItems = z.object({
  object: z.literal('list'),
  data: z.array(anyObject),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean(),
})

/** What the Responses API takes and gives. */
export const responsesBodies = {
  ResponseRequest: responseFields.meta({ required: ['input'] }),
  ResponseInput,
  ResponseItem: itemField,
  ResponseToolChoice,
  Response,
  OutputItem,
  InputItems,
  InputTokens: z.object({ object: z.literal('response.input_tokens'), input_tokens: count }),
  DeletedResponse: z.object({
    id: z.string(),
    object: z.literal('response.deleted'),
    deleted: z.literal(true),
  }),
}
