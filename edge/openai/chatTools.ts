import { z } from 'zod'
import type { CustomTool, FunctionTool, Grammar, ToolDefinition } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { defined, field, optional } from '../schema.ts'

const MAX_TOOLS = 128
const name = field.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, _ or -')

// Loose: some templates read more of a function than OpenAI's fields.
const functionFields = {
  name,
  description: optional(field.string()),
  parameters: optional(z.record(z.string(), z.unknown(), 'a JSON schema object')),
  strict: optional(field.boolean()),
}
const functionDefinition = z.looseObject(functionFields, 'an object')

const grammarFields = { syntax: field.oneOf('lark', 'regex'), definition: field.string() }
const textFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({
      type: z.literal('grammar'),
      grammar: z.object(grammarFields, "an object with 'syntax' and 'definition'"),
    }),
  ],
  "an object with type 'text' or 'grammar'",
)
const customDefinition = z.object(
  { name, description: optional(field.string()), format: optional(textFormat) },
  'an object',
)

const FUNCTION = z.literal('function', "'function' or 'custom'")
const CUSTOM = z.literal('custom', "'function' or 'custom'")

/** Tools as the Responses API has them. */
const flatTools = [
  functionDefinition.extend({ type: FUNCTION, function: z.null().optional() }),
  customDefinition.extend({ type: CUSTOM, custom: z.null().optional() }),
] as const
export const flatToolField = z.union(flatTools, { error: 'an object' })

const toolField = z.union(
  [
    z.object({ type: FUNCTION, function: functionDefinition }),
    z.object({ type: CUSTOM, custom: customDefinition }),
    ...flatTools,
  ],
  { error: 'an object' },
)

/** The fields `tools` and, deprecated, `functions`. */
export const toolsField = list(toolField)
export const functionsField = list(functionDefinition)

function list<T extends z.ZodType>(item: T) {
  const hint = `an array of at most ${MAX_TOOLS} tools`
  return optional(z.array(item, hint).max(MAX_TOOLS, hint))
}

/**
 * The engine's form of a request's tools: nested, as chat templates read them.
 * @throws ApiError 400 for two tools of one name
 */
export function toTools(
  tools: z.infer<typeof toolsField>,
  functions: z.infer<typeof functionsField>,
): ToolDefinition[] {
  return checkNames([...(tools ?? []).map(toTool), ...(functions ?? []).map(toFunctionTool)])
}

/** @throws ApiError 400 for two tools of one name */
export function checkNames(tools: ToolDefinition[]): ToolDefinition[] {
  const names = new Set<string>()
  for (const name of tools.map(toolName)) {
    if (names.has(name)) throw invalidRequest('tools', `Two tools are called '${name}'.`)
    names.add(name)
  }
  return tools
}

/** The engine's form of one tool: nested, as chat templates read it. */
export function toTool(tool: z.infer<typeof toolField>): ToolDefinition {
  return tool.type === 'custom'
    ? toCustomTool(tool.custom ?? tool)
    : toFunctionTool(tool.function ?? tool)
}

function toFunctionTool(definition: z.infer<typeof functionDefinition>): FunctionTool {
  const { type: _, ...fields } = definition
  const present = Object.entries(fields).filter(([, value]) => value != null)
  return { type: 'function', function: Object.fromEntries(present) as FunctionTool['function'] }
}

function toCustomTool({ name, description, format }: z.infer<typeof customDefinition>): CustomTool {
  return {
    type: 'custom',
    name,
    ...defined({ description }),
    ...(format?.type === 'grammar' && { format: toFormat(format.grammar) }),
  }
}

function toFormat({
  syntax,
  definition,
}: {
  syntax: 'lark' | 'regex'
  definition: string
}): Grammar {
  return syntax === 'lark'
    ? { type: 'lark', grammar: definition }
    : { type: 'regex', pattern: definition }
}

export function toolName(tool: ToolDefinition): string {
  return tool.type === 'function' ? tool.function.name : tool.name
}
