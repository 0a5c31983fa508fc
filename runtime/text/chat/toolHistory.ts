import { hash } from 'node:crypto'
import type { ChatMessage, ToolDefinition } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'

/** What a template asks of calls in a conversation's history. */
export interface ToolHistoryTraits {
  /** It refuses ids that are not nine letters and digits (Mistral). */
  shortCallIds: boolean
  /** It writes one call of a message only, or refuses more (Llama 3, GPT-OSS). */
  singleCalls: boolean
  /** It refuses calls with both reasoning and text (GPT-OSS). */
  joinedReasoning: boolean
  /** It writes arguments that are no object as they are. */
  textArguments: boolean
}

export function toolHistoryTraits(templates: readonly string[]): ToolHistoryTraits {
  const has = (pattern: RegExp) => templates.some(text => pattern.test(text))
  return {
    shortCallIds: has(/length\s*!=\s*9/),
    singleCalls: has(/\.tool_calls\[0\]/),
    joinedReasoning: has(/message\.content and message\.thinking/),
    textArguments: has(/\.arguments is string/),
  }
}

/**
 * Writes calls and their results as a template can take them, so that what this server said can be said back to it: ids in the
 * template's form, results named after their tools, the text of custom tools as their one argument, and, where a template knows
 * one call a message, parallel calls one after the other, each before its results.
 */
export function fitToolHistory(
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[],
  traits: ToolHistoryTraits,
): ChatMessage[] {
  const customs = new Set(tools.flatMap(tool => (tool.type === 'custom' ? tool.name : [])))
  const nameOf = new Map(
    messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name])),
  )
  const fitId = (id: string) => (traits.shortCallIds ? shortId(id) : id)
  const fitted = messages.map(({ toolCalls, ...message }): ChatMessage => {
    if (message.toolCallId !== undefined) {
      const name = message.name ?? nameOf.get(message.toolCallId)
      const toolCallId = fitId(message.toolCallId)
      return { ...message, toolCallId, ...(name !== undefined && { name }) }
    }
    // A list without calls would be written, or counted, as one.
    if (toolCalls === undefined || toolCalls.length === 0) return message
    const calls = toolCalls.map(({ id, name, arguments: text }) => ({
      id: fitId(id),
      name,
      arguments: fitArguments(text, customs.has(name), traits),
    }))
    const joined = traits.joinedReasoning ? joinReasoning(message) : message
    return { ...joined, toolCalls: calls }
  })
  return traits.singleCalls ? inTurn(fitted) : fitted
}

/** The one argument of a custom tool, as the model sees it. */
export const CUSTOM_INPUT = 'input'

function fitArguments(text: string, isCustom: boolean, traits: ToolHistoryTraits): string {
  if (isCustom) return JSON.stringify({ [CUSTOM_INPUT]: text })
  if (text.trim() === '') return '{}'
  if (traits.textArguments || isJsonObject(text)) return text
  // The model failed to write JSON. That must not end the conversation.
  return JSON.stringify({ arguments: text })
}

function isJsonObject(text: string): boolean {
  try {
    return isObject(JSON.parse(text))
  } catch {
    return false
  }
}

function joinReasoning(message: ChatMessage): ChatMessage {
  const { reasoning, content } = message
  if (!reasoning || typeof content !== 'string' || content === '') return message
  return { ...message, reasoning: `${reasoning}\n\n${content}`, content: '' }
}

function shortId(id: string): string {
  return /^[a-zA-Z0-9]{9}$/.test(id) ? id : hash('sha256', id, 'hex').slice(0, 9)
}

function inTurn(messages: readonly ChatMessage[]): ChatMessage[] {
  const fitted: ChatMessage[] = []
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]
    if (message === undefined) break
    const { toolCalls = [] } = message
    if (toolCalls.length < 2) {
      fitted.push(message)
      continue
    }
    const results: ChatMessage[] = []
    for (let next = messages[i + 1]; next?.toolCallId !== undefined; next = messages[i + 1]) {
      results.push(next)
      i++
    }
    const ofCall = Map.groupBy(results, ({ toolCallId }) => toolCallId)
    for (const [k, call] of toolCalls.entries()) {
      const begin = k === 0 ? message : { role: message.role, content: '' }
      fitted.push({ ...begin, toolCalls: [call] }, ...(ofCall.get(call.id) ?? []))
      ofCall.delete(call.id)
    }
    fitted.push(...[...ofCall.values()].flat())
  }
  return fitted
}
