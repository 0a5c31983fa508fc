import { z } from 'zod'
import type { ChatMessage } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { field, optional } from '../schema.ts'
import { mixedContent, textContent, toContent } from './contentParts.ts'

const functionCall = z.object(
  {
    name: field.string().min(1, 'a function name'),
    arguments: optional(argumentsField()),
    /** What some models call their arguments, and clients pass on. */
    parameters: optional(argumentsField()),
  },
  'an object',
)

/** Arguments are JSON in a string; clients that keep them parsed are understood too. */
function argumentsField() {
  return z.union([field.string(), field.object()], { error: 'a string of JSON' })
}

const toolCall = z.discriminatedUnion(
  'type',
  [
    z.object({
      type: z.literal('function').nullish(),
      id: optional(field.string()),
      function: functionCall,
    }),
    z.object({
      type: z.literal('custom'),
      id: optional(field.string()),
      custom: z.object({ name: field.string(), input: field.string() }, 'an object'),
    }),
  ],
  "'function' or 'custom'",
)

const name = optional(field.string())

const message = z.discriminatedUnion(
  'role',
  [
    z.object({ role: z.literal('system'), content: textContent, name }),
    z.object({ role: z.literal('developer'), content: textContent, name }),
    z.object({ role: z.literal('user'), content: mixedContent, name }),
    z.object({
      role: z.literal('assistant'),
      content: optional(textContent),
      name,
      refusal: optional(field.string()),
      reasoning_content: optional(field.string()),
      reasoning: optional(field.string()),
      tool_calls: optional(z.array(toolCall, 'an array of tool calls')),
      function_call: optional(functionCall),
      audio: z.unknown().optional(),
    }),
    z.object({
      role: z.literal('tool'),
      // A tool that has nothing to say is common; a turn without content in another role is a mistake.
      content: optional(mixedContent),
      name,
      tool_call_id: optional(field.string()),
    }),
    z.object({
      role: z.literal('function'),
      content: optional(textContent),
      name: field.string(),
    }),
  ],
  'one of system, developer, user, assistant, tool, function',
)

type Message = z.infer<typeof message>
type Assistant = Extract<Message, { role: 'assistant' }>

/** The field `messages`: turns, or a bare string, which is one user turn. */
export const messagesField = z.union(
  [field.string(), z.array(message).min(1, 'a string or an array of at least one message')],
  { error: 'a string or an array of at least one message' },
)

/**
 * Turns the `messages` of a request into the engine's.
 * @throws ApiError 400 for what this server cannot read
 */
export function toChatMessages(messages: z.infer<typeof messagesField>): ChatMessage[] {
  if (typeof messages === 'string') return [{ role: 'user', content: messages }]
  /** The latest call of each deprecated function, by the turn that made it. */
  const calls = new Map<string, number>()
  return messages.map((message, i) => {
    if (message.role === 'assistant' && message.function_call) {
      calls.set(message.function_call.name, i)
    }
    return toMessage(message, i, calls)
  })
}

function toMessage(
  message: Message,
  index: number,
  calls: ReadonlyMap<string, number>,
): ChatMessage {
  const path = `messages[${index}]`
  const { role, name } = message
  if (role === 'assistant') return { ...toAssistant(message, index), ...(name && { name }) }
  const id =
    role === 'tool'
      ? message.tool_call_id
      : role === 'function'
        ? functionCallId(calls.get(message.name))
        : undefined
  return {
    role: role === 'function' ? 'tool' : role,
    content: toContent(message.content ?? '', `${path}.content`),
    ...(name && { name }),
    ...(id && { toolCallId: id }),
  }
}

function toAssistant(message: Assistant, index: number): ChatMessage {
  const path = `messages[${index}]`
  if (message.audio != null) {
    throw unsupported(`${path}.audio`, `'${path}.audio' is not supported by this server.`)
  }
  const reasoning = message.reasoning_content ?? message.reasoning
  const { tool_calls = [], function_call } = message
  const toolCalls = [
    ...tool_calls,
    ...(function_call ? [{ id: functionCallId(index), function: function_call }] : []),
  ].map(toToolCall)
  return {
    role: 'assistant',
    content: toContent(message.content ?? message.refusal ?? '', `${path}.content`),
    ...(reasoning && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  }
}

type ToolCalls = NonNullable<ChatMessage['toolCalls']>

function toToolCall(call: z.infer<typeof toolCall>): ToolCalls[number] {
  if (call.type === 'custom') {
    const { name, input } = call.custom
    return { id: call.id || name, name, arguments: input }
  }
  const { name, arguments: json, parameters } = call.function
  const value = json ?? parameters ?? '{}'
  return {
    id: call.id || name,
    name,
    arguments: typeof value === 'string' ? value : JSON.stringify(value),
  }
}

/** Calls of the deprecated kind have no id; the turn they are in gives them one. */
function functionCallId(turn: number | undefined): string | undefined {
  return turn === undefined ? undefined : `function_call_${turn}`
}
