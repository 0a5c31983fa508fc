import type { JsonObject } from '../engine.ts'
import { isObject } from '../jsonObject.ts'
import type { ClientTool } from './clientCallWriter.ts'

/** How a call of a tool is written. */
export interface CalledTool {
  kind: 'function_call' | 'custom_tool_call' | ClientTool
  /** Of the item's id. */
  prefix: string
  name: string
  namespace?: string
}

const prefixes: Record<CalledTool['kind'], string> = {
  function_call: 'fc',
  custom_tool_call: 'ctc',
  local_shell: 'lsh',
  shell: 'sc',
  apply_patch: 'apc',
}

/** The name by which the model knows a tool of a namespace. */
export function flatName(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}.${name}`
}

/** Finds out what a name that the model calls stands for, among the tools of a request as the client wrote them. */
export class ToolIndex {
  readonly #tools = new Map<string, CalledTool>()

  constructor(tools: JsonObject[]) {
    for (const tool of tools) this.#add(tool, undefined)
  }

  /** Whatever is not declared is a function. */
  called(name: string): CalledTool {
    return this.#tools.get(name) ?? toolOf('function_call', name)
  }

  #add(tool: JsonObject, namespace: string | undefined): void {
    const { type, tools } = tool
    if (type === 'namespace' && typeof tool.name === 'string' && Array.isArray(tools)) {
      for (const inner of tools) if (isObject(inner)) this.#add(inner as JsonObject, tool.name)
    } else if (type === 'custom' || type === 'function') {
      const nested = tool[type]
      const { name } = isObject(nested) ? nested : tool
      if (typeof name !== 'string') return
      const kind = type === 'custom' ? 'custom_tool_call' : 'function_call'
      this.#tools.set(flatName(namespace, name), toolOf(kind, name, namespace))
    } else if (type === 'local_shell' || type === 'shell' || type === 'apply_patch') {
      this.#tools.set(type, toolOf(type, type))
    }
  }
}

function toolOf(kind: CalledTool['kind'], name: string, namespace?: string): CalledTool {
  return { kind, prefix: prefixes[kind], name, ...(namespace !== undefined && { namespace }) }
}
