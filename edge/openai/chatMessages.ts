import type { ChatMessage } from '../engine.ts'
import { invalidRequest, unsupported } from '../errors.ts'
import { invalidValue, isObject } from '../schema.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool']

/**
 * Turns the `messages` of a request into the engine's. A bare string is one user turn.
 * @throws ApiError 400 naming the message and its field
 */
export function toChatMessages(messages: unknown): ChatMessage[] {
  if (typeof messages === 'string') return [{ role: 'user', content: messages }]
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalidValue(
      'messages',
      messages ?? undefined,
      'a string or an array of at least one message',
    )
  }
  return messages.map((message: unknown, i) => toMessage(message, `messages[${i}]`))
}

function toMessage(message: unknown, path: string): ChatMessage {
  if (!isObject(message)) throw invalidValue(path, message, 'an object')
  const { role } = message
  if (role === 'function')
    throw unsupported(`${path}.role`, "Use role 'tool' instead of 'function'.")
  if (typeof role !== 'string' || !ROLES.includes(role)) {
    throw invalidValue(`${path}.role`, role ?? undefined, `one of ${ROLES.join(', ')}`)
  }
  const name = text(message.name, `${path}.name`)
  if (role === 'assistant') return { role, ...toAssistant(message, path), ...(name && { name }) }
  const toolCallId = role === 'tool' && text(message.tool_call_id, `${path}.tool_call_id`)
  return {
    role,
    // A tool that has nothing to say is common; a turn without content in another role is a mistake.
    content: toContent(message.content ?? (role === 'tool' ? '' : undefined), `${path}.content`),
    ...(name && { name }),
    ...(toolCallId && { toolCallId }),
  }
}

function toAssistant(
  message: Record<string, unknown>,
  path: string,
): Partial<ChatMessage> & Pick<ChatMessage, 'content'> {
  for (const field of ['audio', 'function_call']) {
    if (message[field] != null) {
      throw unsupported(`${path}.${field}`, `'${path}.${field}' is not supported by this server.`)
    }
  }
  const field = message.reasoning_content != null ? 'reasoning_content' : 'reasoning'
  const reasoning = text(message[field], `${path}.${field}`)
  const toolCalls = toToolCalls(message.tool_calls, `${path}.tool_calls`)
  const refusal = text(message.refusal, `${path}.refusal`)
  return {
    content: toContent(message.content ?? refusal ?? '', `${path}.content`),
    ...(reasoning && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  }
}

/** @returns the text of a string or of an array of text parts, joined as they are */
function toContent(content: unknown, path: string): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content))
    throw invalidValue(path, content, 'a string or an array of content parts')
  if (content.length === 0) throw invalidValue(path, content, 'at least one content part')
  return content.map((part: unknown, i) => partText(part, `${path}[${i}]`)).join('')
}

const MEDIA = ['image_url', 'input_audio', 'audio_url', 'video_url', 'file', 'image', 'input_image']

function partText(part: unknown, path: string): string {
  if (!isObject(part)) throw invalidValue(path, part, 'a content part')
  const type = part.type ?? 'text'
  if (type === 'text' || type === 'refusal') {
    const value = part[type]
    if (typeof value === 'string') return value
    throw invalidValue(`${path}.${type}`, value ?? undefined, 'a string')
  }
  if (typeof type === 'string' && MEDIA.includes(type)) {
    throw invalidRequest(
      path,
      `Content of type '${type}' is not supported by this model; only text is.`,
      'unsupported_media',
    )
  }
  throw invalidValue(`${path}.type`, type, "'text', 'refusal' or a media type")
}

function toToolCalls(calls: unknown, path: string): NonNullable<ChatMessage['toolCalls']> {
  if (calls === undefined || calls === null) return []
  if (!Array.isArray(calls)) throw invalidValue(path, calls, 'an array of tool calls')
  return calls.map((call: unknown, i) => {
    const at = `${path}[${i}]`
    if (!isObject(call)) throw invalidValue(at, call, 'a tool call')
    if (call.type != null && call.type !== 'function') {
      throw unsupported(
        `${at}.type`,
        `Tool calls of type '${call.type}' are not supported by this server.`,
      )
    }
    const fn = call.function
    if (!isObject(fn)) throw invalidValue(`${at}.function`, fn, 'an object')
    const name = text(fn.name, `${at}.function.name`)
    if (!name) throw invalidValue(`${at}.function.name`, fn.name ?? undefined, 'a function name')
    return {
      id: text(call.id, `${at}.id`) || name,
      name,
      arguments: toArguments(fn.arguments ?? fn.parameters ?? '{}', `${at}.function.arguments`),
    }
  })
}

/** Arguments are JSON in a string; clients that keep them parsed are understood too. */
function toArguments(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  if (isObject(value)) return JSON.stringify(value)
  throw invalidValue(path, value, 'a string of JSON')
}

function text(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw invalidValue(path, value, 'a string')
}
