import { z } from 'zod'
import type { JsonObject } from '../engine.ts'
import { isObject } from '../jsonObject.ts'
import { audioField } from '../openai/contentParts.ts'
import { field, invalidValue, optional, parseFields } from '../schema.ts'
import { inputItemId } from './itemIds.ts'

const textPart = z.object(
  { type: z.enum(['input_text', 'output_text', 'text']), text: field.string() },
  'a content part',
)
const refusalPart = z.object({ type: z.literal('refusal'), refusal: field.string() })
const imagePart = z.object({
  type: z.literal('input_image'),
  image_url: optional(field.string()),
  file_id: optional(field.string()),
  detail: optional(field.oneOf('auto', 'low', 'high', 'original')),
})
const audioPart = z.object({
  type: z.literal('input_audio'),
  input_audio: audioField,
})
const filePart = z.object({
  type: z.literal('input_file'),
  file_id: optional(field.string()),
  file_data: optional(field.string()),
  file_url: optional(field.string()),
  filename: optional(field.string()),
})
const part = z.discriminatedUnion(
  'type',
  [textPart, refusalPart, imagePart, audioPart, filePart],
  "'input_text', 'output_text', 'refusal', 'input_image', 'input_audio' or 'input_file'",
)
const content = z.union([field.string(), z.array(part, 'an array of content parts')], {
  error: 'a string or an array of content parts',
})

export type InputPart = z.infer<typeof part>
export type InputContent = z.infer<typeof content>

const texts = optional(z.array(z.object({ text: field.string() }, 'an object with text')))
const callId = field.string()

/** The kinds of items that say something to the model. */
export const itemField = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    role: z.enum(
      ['user', 'assistant', 'system', 'developer'],
      'one of user, assistant, system, developer',
    ),
    content,
  }),
  z.object({
    type: z.literal('reasoning'),
    content: texts,
    summary: texts,
    encrypted_content: optional(field.string()),
  }),
  z.object({
    type: z.literal('function_call'),
    call_id: callId,
    name: field.string(),
    namespace: optional(field.string()),
    arguments: field.string(),
  }),
  z.object({
    type: z.literal('custom_tool_call'),
    call_id: callId,
    name: field.string(),
    namespace: optional(field.string()),
    input: field.string(),
  }),
  z.object({ type: z.literal('local_shell_call'), call_id: callId, action: field.object() }),
  z.object({ type: z.literal('shell_call'), call_id: callId, action: field.object() }),
  z.object({ type: z.literal('apply_patch_call'), call_id: callId, operation: field.object() }),
  z.object({ type: z.literal('function_call_output'), call_id: optional(callId), output: content }),
  z.object({ type: z.literal('custom_tool_call_output'), call_id: callId, output: content }),
  z.object({
    type: z.literal('local_shell_call_output'),
    /** Names the call; some clients have a `call_id` here as elsewhere. */
    id: optional(field.string()),
    call_id: optional(callId),
    output: field.string(),
  }),
  z.object({
    type: z.literal('shell_call_output'),
    call_id: callId,
    output: z.union([field.string(), z.array(field.object())], { error: 'an array of outputs' }),
  }),
  z.object({
    type: z.literal('apply_patch_call_output'),
    call_id: callId,
    status: optional(field.string()),
    output: optional(field.string()),
  }),
  z.object({ type: z.literal('item_reference'), id: field.string() }),
])

export type InputItem = z.infer<typeof itemField>

/** Work of tools that OpenAI's servers run: kept in the history, and nothing that a model here could read. */
const silent = new Set([
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'computer_call',
  'computer_call_output',
  'mcp_list_tools',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
  'tool_search_call',
  'tool_search_output',
  'additional_tools',
  'configuration_update',
  'compaction',
  'compaction_trigger',
  'program',
  'program_output',
])

const prefixes: Record<string, string> = {
  message: 'msg',
  reasoning: 'rs',
  function_call: 'fc',
  function_call_output: 'fco',
  custom_tool_call: 'ctc',
  custom_tool_call_output: 'ctco',
}

/**
 * The field `input`, as items that can be listed: a string is a message of the user, and every item has an id.
 * @param response id of the response they belong to
 * @throws ApiError 400 naming the item and its field
 */
export function toInputItems(input: unknown, response: string): JsonObject[] {
  if (typeof input !== 'string' && !Array.isArray(input)) {
    throw invalidValue('input', input ?? undefined, 'a string or an array of items')
  }
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input
  return items.map((item: unknown, i) => {
    if (!isObject(item)) throw invalidValue(`input[${i}]`, item, 'an item')
    const type = item.type ?? ('role' in item ? 'message' : 'item_reference')
    const named: JsonObject = { ...(item as JsonObject), type: type as string }
    parseItem(named, `input[${i}]`)
    if (type !== 'message') {
      named.id ??= inputItemId(prefixes[String(type)] ?? 'item', response, i)
      return named
    }
    const { role, content } = named
    return {
      id: inputItemId('msg', response, i),
      status: 'completed',
      ...named,
      ...(typeof content === 'string' && { content: [asPart(role, content)] }),
    }
  })
}

/**
 * Reads an item. @returns undefined for one that says nothing to the model
 * @throws ApiError 400 naming its field, below `path`
 */
export function parseItem(value: JsonObject, path: string): InputItem | undefined {
  const { type } = value
  if (typeof type === 'string' && silent.has(type)) return undefined
  return parseFields(itemField, value, path)
}

function asPart(role: unknown, text: string): JsonObject {
  return role === 'assistant'
    ? { type: 'output_text', text, annotations: [] }
    : { type: 'input_text', text }
}
