import type { ChatPrompt, FunctionTool, JsonObject } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { invalidValue } from '../schema.ts'

const MAX_TOOLS = 512
const NAME = /^[A-Za-z0-9_-]{1,128}$/

/** Tools that Anthropic defines and the client runs: the model is told of them like of any other. */
const clientTools: {
  prefix: string
  name: string
  tool: Omit<FunctionTool['function'], 'name'>
}[] = [
  {
    prefix: 'bash_',
    name: 'bash',
    tool: {
      description: 'Run a command in a persistent bash session.',
      parameters: objectOf({
        command: { type: 'string', description: 'The command to run.' },
        restart: { type: 'boolean', description: 'Start a new session instead.' },
      }),
    },
  },
  {
    prefix: 'text_editor_',
    name: 'str_replace_based_edit_tool',
    tool: {
      description: 'View, create and edit text files.',
      parameters: objectOf(
        {
          command: { type: 'string', enum: ['view', 'create', 'str_replace', 'insert'] },
          path: { type: 'string' },
          file_text: { type: 'string', description: 'Content of the file to create.' },
          old_str: { type: 'string', description: 'Text to replace; must occur once.' },
          new_str: { type: 'string', description: 'Text to put in its place.' },
          insert_line: { type: 'integer', description: 'Line to insert after.' },
          insert_text: { type: 'string', description: 'Text to insert.' },
          view_range: { type: 'array', items: { type: 'integer' } },
        },
        ['command', 'path'],
      ),
    },
  },
  {
    prefix: 'memory_',
    name: 'memory',
    tool: {
      description: 'Keep notes in files that outlive the conversation.',
      parameters: objectOf(
        {
          command: {
            type: 'string',
            enum: ['view', 'create', 'str_replace', 'insert', 'delete', 'rename'],
          },
          path: { type: 'string' },
          file_text: { type: 'string' },
          old_str: { type: 'string' },
          new_str: { type: 'string' },
          insert_line: { type: 'integer' },
          insert_text: { type: 'string' },
          old_path: { type: 'string' },
          new_path: { type: 'string' },
        },
        ['command'],
      ),
    },
  },
]

export interface Tools {
  tools: FunctionTool[]
  /** Types of tools that Anthropic's servers run and this one does not have; the model is not told of them. */
  left: string[]
}

/** @throws ApiError 400 naming the tool and its field */
export function toTools(tools: unknown): Tools {
  if (tools === undefined || tools === null) return { tools: [], left: [] }
  if (!Array.isArray(tools) || tools.length > MAX_TOOLS) {
    throw invalidValue('tools', tools, `an array of at most ${MAX_TOOLS} tools`)
  }
  const taken: Tools = { tools: [], left: [] }
  for (const [i, tool] of tools.entries()) {
    const at = `tools[${i}]`
    if (!isObject(tool)) throw invalidValue(at, tool, 'an object')
    const type = tool.type ?? 'custom'
    if (typeof type !== 'string') throw invalidValue(`${at}.type`, type, 'a string')
    const known = clientTools.find(({ prefix }) => type.startsWith(prefix))
    if (type === 'custom') taken.tools.push(customTool(tool, at))
    else if (known === undefined) taken.left.push(type)
    else {
      const name = typeof tool.name === 'string' ? tool.name : known.name
      taken.tools.push({ type: 'function', function: { name, ...known.tool } })
    }
  }
  return taken
}

function customTool(tool: Record<string, unknown>, at: string): FunctionTool {
  const { name, description, input_schema, strict } = tool
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw invalidValue(`${at}.name`, name ?? undefined, '1 to 128 letters, digits, _ or -')
  }
  if (!isObject(input_schema)) {
    throw invalidValue(`${at}.input_schema`, input_schema ?? undefined, 'a JSON schema object')
  }
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      parameters: input_schema as JsonObject,
      ...(strict === true && { strict }),
    },
  }
}

/** What `tool_choice` says of a prompt. @throws ApiError 400 naming the field */
export function toToolChoice(
  choice: unknown,
  tools: FunctionTool[],
): Pick<ChatPrompt, 'toolChoice' | 'parallelToolCalls'> {
  if (choice === undefined || choice === null) return {}
  if (!isObject(choice)) throw invalidValue('tool_choice', choice, 'an object')
  const { type, name, disable_parallel_tool_use } = choice
  const parallel = disable_parallel_tool_use === true ? { parallelToolCalls: false } : {}
  if (type === 'auto') return parallel
  if (type === 'none') return tools.length > 0 ? { toolChoice: { mode: 'none' } } : {}
  if (type !== 'any' && type !== 'tool') {
    throw invalidValue('tool_choice.type', type ?? undefined, "'auto', 'any', 'tool' or 'none'")
  }
  if (tools.length === 0) {
    throw invalidRequest('tool_choice', "'tool_choice' asks for a tool, but there are no tools.")
  }
  if (type === 'any') return { toolChoice: { mode: 'required' }, ...parallel }
  if (typeof name !== 'string' || !tools.some(tool => tool.function.name === name)) {
    throw invalidValue('tool_choice.name', name ?? undefined, 'the name of one of the tools')
  }
  return { toolChoice: { mode: 'required', names: [name] }, ...parallel }
}

function objectOf(properties: JsonObject, required: string[] = []): JsonObject {
  return { type: 'object', properties, required }
}
