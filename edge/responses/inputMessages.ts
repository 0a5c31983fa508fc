import type { ChatMessage, JsonObject } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { toContent } from './inputContent.ts'
import { type InputItem, parseItem } from './inputItems.ts'
import { unsealReasoning } from './reasoningSeal.ts'
import { flatName } from './toolIndex.ts'

/** An item, and where in the request it, or what refers to it, stands. */
export interface PlacedItem {
  item: JsonObject
  path: string
}

/**
 * Turns items into turns of a conversation. What a model generated in one go (reasoning, text, calls) is one turn.
 * @throws ApiError 400 naming the item and its field
 */
export function toMessages(items: PlacedItem[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  let turn: ChatMessage | undefined
  const assistant = (joins: (turn: ChatMessage) => boolean) => {
    if (turn === undefined || !joins(turn)) {
      turn = { role: 'assistant', content: null }
      messages.push(turn)
    }
    return turn
  }
  for (const { item: raw, path } of items) {
    const item = parseItem(raw, path)
    if (item === undefined) continue
    const call = callOf(item)
    if (call !== undefined) {
      const begun = assistant(() => true)
      begun.toolCalls ??= []
      begun.toolCalls.push(call)
    } else if (item.type === 'reasoning') {
      const text = reasoningText(item)
      const begun = assistant(({ content, toolCalls }) => content === null && !toolCalls)
      if (text !== '') begun.reasoning = (begun.reasoning ?? '') + text
    } else if (item.type === 'message' && item.role === 'assistant') {
      const begun = assistant(({ content, toolCalls }) => content === null && !toolCalls)
      begun.content = toContent(item.content, '', `${path}.content`)
    } else {
      turn = undefined
      messages.push(otherTurn(item, path))
    }
  }
  return messages
}

function otherTurn(item: InputItem, path: string): ChatMessage {
  switch (item.type) {
    case 'message':
      return { role: item.role, content: toContent(item.content, '\n\n', `${path}.content`) }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return toolTurn(item.call_id, toContent(item.output, '\n', `${path}.output`))
    case 'local_shell_call_output':
      return toolTurn(item.call_id ?? item.id, item.output)
    case 'shell_call_output':
      return toolTurn(
        item.call_id,
        typeof item.output === 'string' ? item.output : JSON.stringify(item.output),
      )
    case 'apply_patch_call_output':
      return toolTurn(item.call_id, item.output ?? item.status ?? '')
    default:
      throw invalidRequest(path, `The item '${path}' cannot be used here.`)
  }
}

function toolTurn(toolCallId: string | undefined, content: ChatMessage['content']): ChatMessage {
  return { role: 'tool', content, ...(toolCallId !== undefined && { toolCallId }) }
}

type ToolCall = NonNullable<ChatMessage['toolCalls']>[number]

/** Calls in the shape in which the tools are declared to the model. */
function callOf(item: InputItem): ToolCall | undefined {
  switch (item.type) {
    case 'function_call':
      return {
        id: item.call_id,
        name: flatName(item.namespace, item.name),
        arguments: item.arguments,
      }
    case 'custom_tool_call':
      return { id: item.call_id, name: flatName(item.namespace, item.name), arguments: item.input }
    case 'local_shell_call': {
      const { type: _, ...action } = item.action
      return { id: item.call_id, name: 'local_shell', arguments: JSON.stringify(action) }
    }
    case 'shell_call':
      return { id: item.call_id, name: 'shell', arguments: JSON.stringify(item.action) }
    case 'apply_patch_call':
      return { id: item.call_id, name: 'apply_patch', arguments: JSON.stringify(item.operation) }
    default:
      return undefined
  }
}

/** The reasoning itself, from wherever the client has kept it. */
function reasoningText(item: Extract<InputItem, { type: 'reasoning' }>): string {
  const { content = [], encrypted_content, summary = [] } = item
  const text = content.map(part => part.text).join('')
  if (text !== '') return text
  const sealed = encrypted_content === undefined ? undefined : unsealReasoning(encrypted_content)
  return sealed ?? summary.map(part => part.text).join('\n\n')
}
