import type { ChatPrompt, ToolDefinition } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { toolChoiceField, toToolChoice } from '../openai/toolChoice.ts'
import { parseFields } from '../schema.ts'
import { flatName } from './toolIndex.ts'

const PATH = 'tool_choice'
const clientTools: unknown[] = ['local_shell', 'shell', 'apply_patch']

/**
 * Which tools may and must be called. Beside what chat has, tools may be named by their type or within a namespace.
 * @returns undefined for the default: any, or none
 * @throws ApiError 400 for a tool that is not there, and for `required` without any
 */
export function toResponseToolChoice(
  choice: unknown,
  definitions: ToolDefinition[],
): ChatPrompt['toolChoice'] {
  const tool_choice = parseFields(toolChoiceField, asInChat(choice), PATH)
  return toToolChoice({ tool_choice, function_call: undefined }, definitions)
}

function asInChat(choice: unknown): unknown {
  if (!isObject(choice)) return choice
  if (choice.type !== 'allowed_tools') return asFunction(choice)
  const allowed = isObject(choice.allowed_tools) ? choice.allowed_tools : choice
  if (!Array.isArray(allowed.tools)) return choice
  // Tools of OpenAI's servers may be allowed: they are not there to be called.
  const tools = allowed.tools.filter(tool => !isObject(tool) || !isHosted(tool))
  if (tools.length === 0 && allowed.tools.length > 0) return 'none'
  return { type: 'allowed_tools', mode: allowed.mode, tools: tools.map(asFunction) }
}

function asFunction(tool: unknown): unknown {
  if (!isObject(tool)) return tool
  const { type, name, namespace } = tool
  if (clientTools.includes(type)) return { type: 'function', name: type }
  if (isHosted(tool)) {
    const message = `Tools of type '${tool.type}' are not supported by this server.`
    throw unsupported(`${PATH}.type`, message)
  }
  return typeof name === 'string' && typeof namespace === 'string'
    ? { type, name: flatName(namespace, name) }
    : tool
}

function isHosted({ type }: Record<string, unknown>): boolean {
  return (
    typeof type === 'string' &&
    type !== 'function' &&
    type !== 'custom' &&
    !clientTools.includes(type)
  )
}
