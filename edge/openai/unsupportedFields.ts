import type { JsonObject, JsonValue } from '../engine.ts'
import { ApiError, unsupported } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { field, invalidValue } from '../schema.ts'

/** Says what to throw for a value that is present and not null; undefined when the value asks for nothing. */
type Check = (value: JsonValue, param: string, body: JsonObject) => ApiError | undefined

const refuse: Check = (_, param) =>
  unsupported(param, `'${param}' is not supported by this server.`)

/** For switches and lists: off and empty ask for nothing. */
const refuseUnlessOff: Check = (value, param, body) =>
  value === false || value === 0 || (Array.isArray(value) && value.length === 0)
    ? undefined
    : refuse(value, param, body)

const modalities: Check = (value, param) => {
  if (!Array.isArray(value)) return invalidValue(param, value, 'an array of strings')
  const other = value.find(modality => modality !== 'text')
  return other === undefined
    ? undefined
    : unsupported(param, `'${param}' may only hold 'text' on this server.`)
}

/** No adapters are loaded, so none has the name. */
const adapter: Check = (value, param) => {
  const isNamed =
    typeof value === 'string' || (isObject(value) && typeof value.generation === 'string')
  if (!isNamed) return invalidValue(param, value, "a name, or an object with 'generation'")
  return new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'model_not_found',
    message: `The adapter ${JSON.stringify(value)} does not exist.`,
    param,
  })
}

/** In the body's schema, so that its description has them. */
export const unsupportedChatFields = {
  adapter: field.any(),
  modalities: field.any(),
  audio: field.any(),
  web_search_options: field.any(),
  session_id: field.any(),
  files: field.any(),
  enable_shell: field.any(),
}

/** Accepted, and of no consequence here. */
export const ignoredChatFields = {
  user: field.any(),
  metadata: field.any(),
  store: field.any(),
  service_tier: field.any(),
  safety_identifier: field.any(),
  prompt_cache_key: field.any(),
  prompt_cache_options: field.any(),
  prompt_cache_retention: field.any(),
  moderation: field.any(),
  prediction: field.any(),
  agent_permission: field.any(),
  code_execution_permission: field.any(),
  max_tool_rounds: field.any(),
}

/**
 * Fields that change what is generated and that this server cannot honour. Ignoring them would give an answer that looks
 * right and is not. Permissions and limits of server-side tools are not here: without such tools they hold by themselves.
 */
export const unsupportedInChat: Record<keyof typeof unsupportedChatFields, Check> = {
  adapter,
  modalities,
  audio: refuse,
  web_search_options: refuse,
  session_id: refuse,
  files: refuseUnlessOff,
  enable_shell: refuseUnlessOff,
}

export const unsupportedInCompletions: Record<string, Check> = { adapter }

export const unsupportedInResponses: Record<string, Check> = {
  adapter,
  files: refuseUnlessOff,
}

/** @throws ApiError 400 for the first field of `checks` that asks for something */
export function refuseUnsupported(checks: Record<string, Check>, body: JsonObject): void {
  for (const [param, check] of Object.entries(checks)) {
    const value = body[param]
    const error = value === undefined || value === null ? undefined : check(value, param, body)
    if (error !== undefined) throw error
  }
}
