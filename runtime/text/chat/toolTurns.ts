import type { ChatMessage, FunctionTool, JsonObject } from '../../../edge/engine.ts'
import type { WrittenCalls } from '../../parse/toolCallFormats.ts'
import { mergeInto } from './chatTurns.ts'

/**
 * Calls and their results as text of assistant and user turns, which every template shows. The same turns give the same text in
 * every request, so that prefixes stay.
 * @param messages with arguments that are JSON objects
 */
export function toTextTurns(messages: ChatMessage[], calls: WrittenCalls): ChatMessage[] {
  return messages.map(message =>
    isResult(message) ? resultTurn(message) : callTurn(message, calls),
  )
}

/** Calls as text of assistant turns, and their results as they are. */
export function toTextCalls(messages: ChatMessage[], calls: WrittenCalls): ChatMessage[] {
  return messages.map(message => callTurn(message, calls))
}

/** Puts the tools where templates read them that look for them on the system turn: as the text of a JSON list. */
export function putOnSystemTurn(turns: JsonObject[], tools: FunctionTool[]): JsonObject[] {
  if (tools.length === 0) return turns
  const text = JSON.stringify(tools.map(({ function: { strict: _, ...named } }) => named))
  const [first, ...rest] = turns
  return first?.role === 'system'
    ? [{ ...first, tools: text }, ...rest]
    : [{ role: 'system', content: '', tools: text }, ...turns]
}

/** Tells of the tools, and how to call them, in the system turn. */
export function describeTools(
  turns: ChatMessage[],
  tools: FunctionTool[],
  calls: WrittenCalls,
): ChatMessage[] {
  if (tools.length === 0) return turns
  const text = { role: 'system', content: description(tools, calls) }
  const [first, ...rest] = turns
  const isSystem = first?.role === 'system' || first?.role === 'developer'
  return isSystem ? [mergeInto(first, text), ...rest] : [text, ...turns]
}

export function concernsTools(message: ChatMessage): boolean {
  return isResult(message) || (message.toolCalls ?? []).length > 0
}

function isResult({ role, toolCallId }: ChatMessage): boolean {
  return role === 'tool' || toolCallId !== undefined
}

function resultTurn({ content }: ChatMessage): ChatMessage {
  const [open, close] = ['<tool_response>\n', '\n</tool_response>']
  return {
    role: 'user',
    content:
      typeof content === 'object' && content !== null
        ? [{ type: 'text', text: open }, ...content, { type: 'text', text: close }]
        : open + (content ?? '') + close,
  }
}

function callTurn({ toolCalls = [], ...turn }: ChatMessage, form: WrittenCalls): ChatMessage {
  if (toolCalls.length === 0) return turn
  const calls = toolCalls.map(call => ({ name: call.name, json: call.arguments }))
  return mergeInto(turn, { role: turn.role, content: callText(calls, form) })
}

function callText(calls: { name: string; json: string }[], form: WrittenCalls): string {
  const { begin, before, after, between, end } = form
  return begin + calls.map(({ name, json }) => before(name) + json + after).join(between) + end
}

function description(tools: FunctionTool[], form: WrittenCalls): string {
  const lines = tools.map(({ function: { name, description, parameters } }) =>
    JSON.stringify({ type: 'function', function: { name, description, parameters } }),
  )
  const one = { name: 'function-name', json: '{"argument-name": "value"}' }
  const other = { name: 'other-function', json: '{}' }
  return `# Tools

You may call functions to help with the request. These are there, as JSON, one on a line:
<tools>
${lines.join('\n')}
</tools>

To call one, write its name and an object with its arguments, in this form:
${callText([one], form)}
Several calls in one answer:
${callText([one, other], form)}
The turn after that has the results.`
}
