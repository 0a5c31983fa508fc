import type { ChatMessage, JsonObject, JsonValue } from '../../../edge/engine.ts'
import type { CallTraits } from './turnTraits.ts'

/**
 * A conversation in the shape chat templates read: OpenAI's, with the arguments of tool calls as objects where they write
 * them as JSON or walk through them, and text instead of parts.
 * @param callTraits asked for when there are calls
 */
export function toTemplateMessages(
  messages: ChatMessage[],
  callTraits: () => CallTraits,
): JsonObject[] {
  const hasNoContent = ({ content, toolCalls }: ChatMessage) =>
    toolCalls !== undefined && contentText(content) === '' && callTraits().nullContent
  return messages.map(message => ({
    role: message.role,
    content: hasNoContent(message) ? null : contentText(message.content),
    ...(message.name !== undefined && { name: message.name }),
    ...(message.toolCalls !== undefined && {
      tool_calls: message.toolCalls.map(call => ({
        id: call.id,
        type: 'function',
        function: {
          name: call.name,
          arguments: callTraits().argumentText ? call.arguments : parseArguments(call.arguments),
        },
      })),
    }),
    ...(message.toolCallId !== undefined && { tool_call_id: message.toolCallId }),
    // Templates agree on no name for it.
    ...(message.reasoning !== undefined && {
      reasoning_content: message.reasoning,
      reasoning: message.reasoning,
      thinking: message.reasoning,
    }),
  }))
}

/** No content is empty text: printed, a null would read "None". */
export function contentText(content: ChatMessage['content']): string {
  if (content === null) return ''
  if (typeof content === 'string') return content
  return content.map(part => (part.type === 'text' ? part.text : '')).join('')
}

function parseArguments(text: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : text
  } catch {
    return text
  }
}
