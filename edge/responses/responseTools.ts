import type { FunctionTool, JsonObject, ToolDefinition } from '../engine.ts'
import { isObject } from '../jsonObject.ts'
import { checkNames, flatToolField, toTool } from '../openai/chatTools.ts'
import { invalidValue, parseFields } from '../schema.ts'
import type { ClientTool } from './clientCallWriter.ts'
import { flatName } from './toolIndex.ts'

export interface ResponseTools {
  definitions: ToolDefinition[]
  /** Types of tools that only OpenAI's servers have: the model is not told of them. */
  left: string[]
  /** Functions that are strict because the request does not say otherwise. */
  strictByDefault: string[]
}

/**
 * The tools of a request as the engine takes them. Those of a namespace are called `namespace.tool`; those that OpenAI
 * defines and the client runs become functions.
 * @throws ApiError 400 naming the tool and its field
 */
export function toResponseTools(tools: JsonObject[]): ResponseTools {
  const definitions: ToolDefinition[] = []
  const left: string[] = []
  const strictByDefault: string[] = []
  const add = (tool: JsonObject, path: string, namespace?: string) => {
    const { type } = tool
    if (type === 'namespace') {
      const { name, tools } = tool
      if (typeof name !== 'string') throw invalidValue(`${path}.name`, name ?? undefined, 'a name')
      if (!Array.isArray(tools)) throw invalidValue(`${path}.tools`, tools, 'an array of tools')
      for (const [i, inner] of tools.entries()) {
        const at = `${path}.tools[${i}]`
        if (!isObject(inner)) throw invalidValue(at, inner, 'a tool')
        add(inner as JsonObject, at, name)
      }
    } else if (type === 'function' || type === 'custom') {
      const fields = type === 'function' ? functionFields(tool) : customFields(tool)
      const definition = within(namespace, toTool(parseFields(flatToolField, fields, path)))
      definitions.push(definition)
      const isStrict = definition.type === 'function' && definition.function.strict === true
      if (isStrict && saysNothingOfStrict(tool)) strictByDefault.push(definition.function.name)
    } else if (isClientTool(tool)) definitions.push(clientTool(tool.type))
    else if (typeof type === 'string') left.push(type)
    else throw invalidValue(`${path}.type`, type ?? undefined, "'function' or another type of tool")
  }
  for (const [i, tool] of tools.entries()) add(tool, `tools[${i}]`)
  return { definitions: checkNames(definitions), left, strictByDefault }
}

function saysNothingOfStrict({ strict, function: nested }: JsonObject): boolean {
  return (strict ?? null) === null && !isObject(nested)
}

/** What the flat form holds beside these concerns OpenAI's servers. Unlike a chat's, its functions are strict. */
function functionFields(tool: JsonObject): object {
  const { type } = tool
  // The nested form, which says less, is understood too.
  if (isObject(tool.function)) return { type, ...tool.function }
  const { name, description, parameters, strict } = tool
  return {
    type,
    name,
    description,
    parameters,
    strict: strict ?? (isObject(parameters) ? true : undefined),
  }
}

/** Chat nests what is flat here. */
function customFields(tool: JsonObject): object {
  if (isObject(tool.custom)) return { type: tool.type, ...tool.custom }
  const { format } = tool
  if (!isObject(format) || format.type !== 'grammar' || format.grammar !== undefined) return tool
  return { ...tool, format: { type: 'grammar', grammar: format } }
}

function within(namespace: string | undefined, tool: ToolDefinition): ToolDefinition {
  if (tool.type === 'custom') return { ...tool, name: flatName(namespace, tool.name) }
  const { name, ...fields } = tool.function
  return { type: 'function', function: { name: flatName(namespace, name), ...fields } }
}

/** A shell in a container would be OpenAI's own. */
function isClientTool(tool: JsonObject): tool is JsonObject & { type: ClientTool } {
  const { type, environment } = tool
  if (type === 'local_shell' || type === 'apply_patch') return true
  return type === 'shell' && (!isObject(environment) || environment.type === 'local')
}

const text = { type: 'string' }
const milliseconds = { type: 'integer', description: 'Milliseconds after which it is stopped.' }

const clientTools: Record<ClientTool, Omit<FunctionTool['function'], 'name'>> = {
  local_shell: {
    description: "Run a command on the user's machine.",
    parameters: {
      type: 'object',
      properties: {
        command: { type: 'array', items: text, description: 'Program and arguments.' },
        working_directory: text,
        timeout_ms: milliseconds,
        env: { type: 'object', additionalProperties: text },
      },
      required: ['command'],
    },
  },
  shell: {
    description: "Run commands in a shell on the user's machine.",
    parameters: {
      type: 'object',
      properties: {
        commands: { type: 'array', items: text, description: 'Shell commands, run in order.' },
        timeout_ms: milliseconds,
        max_output_length: { type: 'integer', description: 'Characters of output to keep.' },
      },
      required: ['commands'],
    },
  },
  apply_patch: {
    description: "Create, change or delete a file in the user's workspace.",
    parameters: {
      type: 'object',
      properties: {
        type: { type: 'string', enum: ['create_file', 'update_file', 'delete_file'] },
        path: text,
        diff: { type: 'string', description: 'What changes, in the V4A diff format.' },
      },
      required: ['type', 'path'],
    },
  },
}

function clientTool(name: ClientTool): FunctionTool {
  return { type: 'function', function: { name, ...clientTools[name] } }
}
