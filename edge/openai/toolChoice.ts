import { z } from 'zod'
import type { ChatPrompt, ToolDefinition } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { field, invalidValue, optional } from '../schema.ts'
import { toolName } from './chatTools.ts'

const named = z.object({ name: field.string() }, "an object with 'name'")
const FUNCTION = z.literal('function', "'function', 'custom' or 'allowed_tools'")
const CUSTOM = z.literal('custom', "'function', 'custom' or 'allowed_tools'")
const ALLOWED = z.literal('allowed_tools', "'function', 'custom' or 'allowed_tools'")

/** Chat nests what it names; the flat forms are those of the Responses API. */
const oneTool = [
  z.object({ type: FUNCTION, function: named }),
  z.object({ type: CUSTOM, custom: named }),
  z.object({ type: FUNCTION, name: field.string() }),
  z.object({ type: CUSTOM, name: field.string() }),
] as const
const allowed = z.object(
  {
    mode: field.oneOf('auto', 'required'),
    tools: z
      .array(
        z.union(oneTool, { error: 'a tool: an object with type and name' }),
        'an array of tools',
      )
      .min(1, 'at least one tool'),
  },
  "an object with 'mode' and 'tools'",
)

/** The fields `tool_choice` and, deprecated, `function_call`. */
export const toolChoiceField = optional(
  z.union(
    [
      z.enum(['none', 'auto', 'required']),
      ...oneTool,
      z.object({ type: ALLOWED, allowed_tools: allowed }),
      allowed.extend({ type: ALLOWED }),
    ],
    { error: "'none', 'auto', 'required' or an object that names tools" },
  ),
)
export const functionCallField = optional(
  z.union([z.enum(['none', 'auto']), named], { error: "'none', 'auto' or an object with 'name'" }),
)

type ToolChoice = NonNullable<ChatPrompt['toolChoice']>

interface ChoiceFields {
  tool_choice?: z.infer<typeof toolChoiceField>
  function_call?: z.infer<typeof functionCallField>
}

/**
 * Which tools may and must be called.
 * @returns undefined for the default: any, or none
 * @throws ApiError 400 for a tool that is not among `tools`, and for `required` without any
 */
export function toToolChoice(
  { tool_choice, function_call }: ChoiceFields,
  tools: ToolDefinition[],
): ToolChoice | undefined {
  const param = tool_choice === undefined ? 'function_call' : 'tool_choice'
  const choice =
    tool_choice === undefined ? ofFunctionCall(function_call) : ofToolChoice(tool_choice)
  if (choice.mode === 'required' && tools.length === 0) {
    throw invalidRequest(param, `'${param}' asks for a call, but there are no tools.`)
  }
  const known = tools.map(toolName)
  const unknown = choice.names?.find(name => !known.includes(name))
  if (unknown !== undefined) {
    throw invalidValue(param, unknown, `the name of one of the tools: ${known.join(', ')}`)
  }
  const isDefault = choice.mode === 'auto' && choice.names === undefined
  return isDefault || tools.length === 0 ? undefined : choice
}

function ofToolChoice(choice: NonNullable<ChoiceFields['tool_choice']>): ToolChoice {
  if (typeof choice === 'string') return { mode: choice }
  if (choice.type !== 'allowed_tools') return { mode: 'required', names: [nameOf(choice)] }
  const { mode, tools } = 'allowed_tools' in choice ? choice.allowed_tools : choice
  return { mode, names: tools.map(nameOf) }
}

function ofFunctionCall(choice: ChoiceFields['function_call']): ToolChoice {
  if (typeof choice === 'object') return { mode: 'required', names: [choice.name] }
  return { mode: choice ?? 'auto' }
}

function nameOf(tool: z.infer<(typeof oneTool)[number]>): string {
  if ('function' in tool) return tool.function.name
  return 'custom' in tool ? tool.custom.name : tool.name
}
