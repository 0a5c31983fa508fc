import type { FunctionTool } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { invalidValue, isObject } from '../schema.ts'

const MAX_TOOLS = 128
const NAME = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Checks the `tools` of a request and puts them into the nested form that chat templates read; the flat form of the
 * Responses API is understood too.
 * @throws ApiError 400 naming the tool and its field
 */
export function toTools(tools: unknown): FunctionTool[] {
  if (tools === undefined || tools === null) return []
  if (!Array.isArray(tools) || tools.length > MAX_TOOLS) {
    throw invalidValue('tools', tools, `an array of at most ${MAX_TOOLS} tools`)
  }
  return tools.map((tool: unknown, i) => toTool(tool, `tools[${i}]`))
}

function toTool(tool: unknown, path: string): FunctionTool {
  if (!isObject(tool)) throw invalidValue(path, tool, 'an object')
  const { type, ...flat } = tool
  if (type !== 'function') {
    if (typeof type !== 'string')
      throw invalidValue(`${path}.type`, type ?? undefined, "'function'")
    throw unsupported(`${path}.type`, `Tools of type '${type}' are not supported by this server.`)
  }
  const nested = tool.function != null
  const fn = nested ? tool.function : flat
  const at = nested ? `${path}.function` : path
  if (!isObject(fn)) throw invalidValue(at, fn, 'an object')
  if (typeof fn.name !== 'string' || !NAME.test(fn.name)) {
    throw invalidValue(`${at}.name`, fn.name ?? undefined, '1 to 64 letters, digits, _ or -')
  }
  if (fn.parameters != null && !isObject(fn.parameters)) {
    throw invalidValue(`${at}.parameters`, fn.parameters, 'a JSON schema object')
  }
  if (fn.strict === true) {
    throw unsupported(`${at}.strict`, `'${at}.strict' is not supported by this server.`)
  }
  const present = Object.entries(fn).filter(([, value]) => value !== null)
  return { type, function: Object.fromEntries(present) as FunctionTool['function'] }
}
