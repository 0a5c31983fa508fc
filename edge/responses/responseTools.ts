import type { ChatPrompt, FunctionTool, JsonObject, ToolDefinition } from '../engine.ts'
import { invalidRequest, unsupported } from '../errors.ts'
import { invalidValue, isObject } from '../schema.ts'
import type { ClientTool } from './clientCallWriter.ts'
import { flatName } from './toolIndex.ts'

export interface ResponseTools {
  definitions: ToolDefinition[]
  /** Types of tools that only OpenAI's servers have: the model is not told of them. */
  left: string[]
}

/**
 * The tools of a request as the engine takes them. Those of a namespace are called `namespace.tool`; those that OpenAI
 * defines and the client runs become functions.
 * @throws ApiError 400 naming the tool and its field
 */
export function toResponseTools(tools: JsonObject[]): ResponseTools {
  const definitions: ToolDefinition[] = []
  const left: string[] = []
  const add = (tool: JsonObject, path: string, namespace?: string) => {
    const { type } = tool
    if (type === 'namespace') {
      const { name, tools } = tool
      if (typeof name !== 'string') throw invalidValue(`${path}.name`, name, 'a name')
      if (!Array.isArray(tools)) throw invalidValue(`${path}.tools`, tools, 'an array of tools')
      for (const [i, inner] of tools.entries()) {
        const at = `${path}.tools[${i}]`
        if (!isObject(inner)) throw invalidValue(at, inner, 'a tool')
        add(inner as JsonObject, at, name)
      }
    } else if (type === 'function') definitions.push(toFunction(tool, path, namespace))
    else if (isClientTool(tool)) definitions.push(clientTool(tool.type))
    else if (typeof type === 'string') left.push(type)
    else throw invalidValue(`${path}.type`, type, "'function' or another type of tool")
  }
  for (const [i, tool] of tools.entries()) add(tool, `tools[${i}]`)
  return { definitions, left }
}

function toFunction(tool: JsonObject, path: string, namespace: string | undefined): FunctionTool {
  const fn = isObject(tool.function) ? tool.function : tool
  const { name, description, parameters } = fn
  if (typeof name !== 'string' || name === '') {
    throw invalidValue(`${path}.name`, name ?? undefined, 'a name')
  }
  if (parameters != null && !isObject(parameters)) {
    throw invalidValue(`${path}.parameters`, parameters, 'a JSON schema object')
  }
  return {
    type: 'function',
    function: {
      name: flatName(namespace, name),
      ...(typeof description === 'string' && { description }),
      ...(parameters != null && { parameters: parameters as JsonObject }),
    },
  }
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

type ToolChoice = NonNullable<ChatPrompt['toolChoice']>

/**
 * Which tools may and must be called.
 * @returns undefined for the default: any, or none
 * @throws ApiError 400 for a tool that is not there, and for `required` without any
 */
export function toToolChoice(
  choice: unknown,
  { definitions }: ResponseTools,
): ToolChoice | undefined {
  const asked = readChoice(choice)
  if (asked.mode === 'required' && definitions.length === 0) {
    throw invalidRequest('tool_choice', "'tool_choice' asks for a call, but there are no tools.")
  }
  const known = definitions.map(tool => (tool.type === 'function' ? tool.function.name : tool.name))
  const unknown = asked.names?.find(name => !known.includes(name))
  if (unknown !== undefined) {
    throw invalidValue('tool_choice', unknown, `the name of one of the tools: ${known.join(', ')}`)
  }
  const isDefault = asked.mode === 'auto' && asked.names === undefined
  return isDefault || definitions.length === 0 ? undefined : asked
}

function readChoice(choice: unknown): ToolChoice {
  if (choice === undefined) return { mode: 'auto' }
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { mode: choice }
  if (!isObject(choice)) {
    throw invalidValue(
      'tool_choice',
      choice,
      "'none', 'auto', 'required' or an object that names tools",
    )
  }
  if (choice.type !== 'allowed_tools') {
    return { mode: 'required', names: [nameOf(choice, 'tool_choice')] }
  }
  const { mode, tools } = isObject(choice.allowed_tools) ? choice.allowed_tools : choice
  if (mode !== 'auto' && mode !== 'required') {
    throw invalidValue('tool_choice.mode', mode, "'auto' or 'required'")
  }
  if (!Array.isArray(tools)) throw invalidValue('tool_choice.tools', tools, 'an array of tools')
  // Tools of OpenAI's servers may be allowed: they are not there to be called.
  const named = tools.filter(tool => !isObject(tool) || isNamed(tool))
  return { mode, names: named.map((tool, i) => nameOf(tool, `tool_choice.tools[${i}]`)) }
}

function isNamed({ type }: Record<string, unknown>): boolean {
  return (
    type === 'function' ||
    type === 'custom' ||
    type === 'local_shell' ||
    type === 'shell' ||
    type === 'apply_patch'
  )
}

function nameOf(tool: unknown, path: string): string {
  if (!isObject(tool)) throw invalidValue(path, tool, 'a tool: an object with type and name')
  const { type } = tool
  if (type !== 'function' && type !== 'custom') {
    if (isNamed(tool)) return String(type)
    throw unsupported(`${path}.type`, `Tools of type '${type}' are not supported by this server.`)
  }
  const nested = tool[type]
  const { name, namespace } = isObject(nested) ? nested : tool
  if (typeof name !== 'string') throw invalidValue(`${path}.name`, name, 'the name of a tool')
  return flatName(typeof namespace === 'string' ? namespace : undefined, name)
}
