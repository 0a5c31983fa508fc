import type { JsonObject } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { invalidValue } from '../schema.ts'

const OFF = ['none', 'off']
const EFFORTS = [...OFF, 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']

interface ThinkingFields {
  enable_thinking: boolean | undefined
  reasoning_effort: string | undefined
  verbosity: string | undefined
  chat_template_kwargs: Record<string, unknown> | undefined
}

/**
 * Variables for the chat template. Every key of `chat_template_kwargs` reaches it; `enable_thinking` and
 * `reasoning_effort` are the same two switches under their own names.
 * @throws ApiError 400 when two of the three say opposite things
 */
export function toTemplateOptions(request: ThinkingFields): JsonObject {
  const options = { ...request.chat_template_kwargs } as JsonObject
  const effort = request.reasoning_effort?.trim().toLowerCase()
  if (effort !== undefined && !EFFORTS.includes(effort)) {
    throw invalidValue('reasoning_effort', request.reasoning_effort, `one of ${EFFORTS.join(', ')}`)
  }
  const thinkingOfEffort = effort === undefined ? undefined : !OFF.includes(effort)
  const thinking = agree('enable_thinking', options.enable_thinking, [
    request.enable_thinking,
    thinkingOfEffort,
  ])
  if (thinking !== undefined) options.enable_thinking = thinking
  if (effort !== undefined && thinkingOfEffort) {
    options.reasoning_effort ??= effort === 'minimal' ? 'low' : effort
  }
  if (request.verbosity !== undefined) options.verbosity ??= request.verbosity
  return options
}

function agree(
  param: string,
  inTemplate: JsonObject[string] | undefined,
  said: (boolean | undefined)[],
): boolean | undefined {
  const values = [typeof inTemplate === 'boolean' ? inTemplate : undefined, ...said]
  const [first, ...others] = values.filter(value => value !== undefined)
  if (others.every(value => value === first)) return first
  throw invalidRequest(
    param,
    "'enable_thinking', 'reasoning_effort' and 'chat_template_kwargs.enable_thinking' contradict each other.",
  )
}
