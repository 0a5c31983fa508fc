import type { z } from 'zod'
import { effortWords } from '../effortWords.ts'
import type { ChatPrompt, JsonObject } from '../engine.ts'
import { invalidRequest } from '../errors.ts'
import { defined, field, optional } from '../schema.ts'

/** What the words for effort mean to the engine. */
const EFFORTS = { none: 'off', off: 'off', ...effortWords } as const
const WORDS = ['none', 'off', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

/** The fields that say how hard to think, and what else the chat template is told. */
export const thinkingFields = {
  enable_thinking: optional(field.boolean()),
  reasoning_effort: optional(
    field
      .string()
      .transform(word => word.trim().toLowerCase())
      .pipe(field.oneOf(...WORDS)),
  ),
  max_reasoning_tokens: optional(field.integer(0, Number.MAX_SAFE_INTEGER)),
  verbosity: optional(field.string()),
  chat_template_kwargs: optional(field.object()),
}

type ThinkingFields = Omit<z.infer<z.ZodObject<typeof thinkingFields>>, 'max_reasoning_tokens'>

/**
 * `enable_thinking` and `reasoning_effort` are one switch; every key of `chat_template_kwargs` reaches the template.
 * @throws ApiError 400 when two of the three say opposite things
 */
export function toThinking(
  request: ThinkingFields,
): Pick<ChatPrompt, 'reasoning' | 'templateOptions'> {
  const templateOptions = { ...request.chat_template_kwargs } as JsonObject
  if (request.verbosity !== undefined) templateOptions.verbosity ??= request.verbosity
  const effort = request.reasoning_effort && EFFORTS[request.reasoning_effort]
  const enabled = agreed([
    templateOptions.enable_thinking,
    request.enable_thinking,
    effort && effort !== 'off',
  ])
  const reasoning = defined({ enabled, effort: effort === 'off' ? undefined : effort })
  return {
    ...(Object.keys(reasoning).length > 0 && { reasoning }),
    ...(Object.keys(templateOptions).length > 0 && { templateOptions }),
  }
}

function agreed(said: unknown[]): boolean | undefined {
  const [first, ...others] = said.filter(value => typeof value === 'boolean')
  if (others.every(value => value === first)) return first
  throw invalidRequest(
    'enable_thinking',
    "'enable_thinking', 'reasoning_effort' and 'chat_template_kwargs.enable_thinking' contradict each other.",
  )
}
