import type { JsonObject, JsonValue } from '../engine.ts'
import { type ApiError, unsupported } from '../errors.ts'
import { invalidValue, isObject } from '../schema.ts'

/** Says what to throw for a value that is present and not null; undefined when the value asks for nothing. */
type Check = (value: JsonValue, param: string, body: JsonObject) => ApiError | undefined

const refuse: Check = (_, param) =>
  unsupported(param, `'${param}' is not supported by this server.`)

/** For switches and lists: off and empty ask for nothing. */
const refuseUnlessOff: Check = (value, param, body) =>
  value === false || value === 0 || (Array.isArray(value) && value.length === 0)
    ? undefined
    : refuse(value, param, body)

const responseFormat: Check = (value, param) => {
  const type = isObject(value) ? value.type : undefined
  if (type === 'text') return undefined
  return type === 'json_object' || type === 'json_schema'
    ? unsupported(`${param}.type`, `'${param}' of type '${type}' is not supported by this server.`)
    : invalidValue(
        isObject(value) ? `${param}.type` : param,
        isObject(value) ? type : value,
        "an object with type 'text', 'json_object' or 'json_schema'",
      )
}

const toolChoice: Check = (value, param) => {
  if (value === 'auto' || value === 'none') return undefined
  return value === 'required' || isObject(value)
    ? unsupported(param, `'${param}' may only be 'auto' or 'none' on this server.`)
    : invalidValue(param, value, "'auto', 'none', 'required' or an object")
}

const modalities: Check = (value, param) => {
  if (!Array.isArray(value)) return invalidValue(param, value, 'an array of strings')
  const other = value.find(modality => modality !== 'text')
  return other === undefined
    ? undefined
    : unsupported(param, `'${param}' may only hold 'text' on this server.`)
}

const parallelToolCalls: Check = (value, param, body) => {
  if (typeof value !== 'boolean') return invalidValue(param, value, 'a boolean')
  const hasTools = Array.isArray(body.tools) && body.tools.length > 0
  return value || !hasTools ? undefined : refuse(value, param, body)
}

/**
 * Fields that change what is generated and that this server cannot honour. Ignoring them would give an answer that looks
 * right and is not. Permissions and limits of server-side tools are not here: without such tools they hold by themselves.
 */
const shared: Record<string, Check> = {
  response_format: responseFormat,
  grammar: refuse,
  guided_json: refuse,
  guided_regex: refuse,
  guided_choice: refuse,
  guided_grammar: refuse,
  dry_multiplier: refuseUnlessOff,
  truncate_sequence: refuseUnlessOff,
  adapter: refuse,
}

export const unsupportedInChat: Record<string, Check> = {
  ...shared,
  tool_choice: toolChoice,
  parallel_tool_calls: parallelToolCalls,
  functions: refuseUnlessOff,
  function_call: (value, param, body) =>
    value === 'none' || value === 'auto' ? undefined : refuse(value, param, body),
  modalities,
  audio: refuse,
  web_search_options: refuse,
  session_id: refuse,
  files: refuseUnlessOff,
  enable_shell: refuseUnlessOff,
}

export const unsupportedInCompletions: Record<string, Check> = {
  ...shared,
  suffix: (value, param, body) => (value === '' ? undefined : refuse(value, param, body)),
}

/** @throws ApiError 400 for the first field of `checks` that asks for something */
export function refuseUnsupported(checks: Record<string, Check>, body: JsonObject): void {
  for (const [param, check] of Object.entries(checks)) {
    const value = body[param]
    const error = value === undefined || value === null ? undefined : check(value, param, body)
    if (error !== undefined) throw error
  }
}
