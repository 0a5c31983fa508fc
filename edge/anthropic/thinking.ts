import { effortWords } from '../effortWords.ts'
import type { ChatPrompt } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { invalidValue } from '../schema.ts'

type Effort = NonNullable<NonNullable<ChatPrompt['reasoning']>['effort']>

/** What a request wants of the model's reasoning. */
export interface Thinking {
  enabled: boolean | undefined
  effort: Effort | undefined
  /** Most tokens of it. */
  budget: number | undefined
  /** false: the client wants to know that there was thinking, and not what. */
  show: boolean
}

interface ThinkingFields {
  thinking?: unknown
  output_config?: { effort?: string | undefined } | undefined
  enable_thinking?: boolean | undefined
  reasoning_effort?: string | undefined
}

const EFFORTS: Record<string, Effort> = effortWords

/**
 * Reads `thinking`, `output_config.effort` and the extensions of the same meaning. As at Anthropic a request that mentions
 * none of them is answered without thinking, where the model can.
 * @throws ApiError 400 naming the field
 */
export function toThinking(request: ThinkingFields): Thinking {
  const { thinking = null, enable_thinking } = request
  const [param, named] =
    request.output_config?.effort !== undefined
      ? ['output_config.effort', request.output_config.effort]
      : ['reasoning_effort', request.reasoning_effort]
  const effort = named === undefined ? undefined : EFFORTS[named.trim().toLowerCase()]
  if (named !== undefined && effort === undefined) {
    throw invalidValue(param, named, `one of ${Object.keys(EFFORTS).join(', ')}`)
  }
  if (thinking === null) {
    const enabled = enable_thinking ?? (effort === undefined ? false : undefined)
    return { enabled, effort, budget: undefined, show: true }
  }
  if (!isObject(thinking)) throw invalidValue('thinking', thinking, 'an object')
  const { type, budget_tokens, display } = thinking
  if (!['enabled', 'adaptive', 'between_tools', 'disabled'].includes(String(type))) {
    throw invalidValue('thinking.type', type ?? undefined, "'enabled', 'adaptive' or 'disabled'")
  }
  const enabled = type !== 'disabled'
  if (enable_thinking !== undefined && enable_thinking !== enabled) {
    throw invalidRequest(
      'enable_thinking',
      "'enable_thinking' and 'thinking' contradict each other.",
    )
  }
  const budget = enabled ? (budget_tokens ?? undefined) : undefined
  if (budget !== undefined && !(Number.isSafeInteger(budget) && Number(budget) >= 1)) {
    throw invalidValue('thinking.budget_tokens', budget, 'an integer of at least 1')
  }
  return {
    enabled,
    effort,
    budget: budget === undefined ? undefined : Number(budget),
    show: display !== 'omitted',
  }
}
