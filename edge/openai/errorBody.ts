import type { EngineErrorData, EngineErrorKind } from '../engine.ts'
import type { ApiErrorData } from '../errors.ts'

/** OpenAI's error body; `message` is repeated at the top for clients that only look there. */
export function errorBody({ message, type, param, code }: ApiErrorData) {
  return { error: { message, type, param: param ?? null, code }, message }
}

/** The data of an error event in a stream that has begun. */
export function streamErrorBody({ message }: EngineErrorData) {
  return { error: { message, type: 'server_error', param: null, code: null } }
}

const renamed: Record<string, string> = {
  'prompt.templateOptions': 'chat_template_kwargs',
  'prompt.addGenerationPrompt': 'add_generation_prompt',
  'prompt.prompts': 'prompt',
  'prompt.reasoning.enabled': 'enable_thinking',
  'prompt.reasoning.effort': 'reasoning_effort',
  'logprobs.top': 'top_logprobs',
  promptLogprobs: 'echo',
  truncatePrompt: 'truncate_sequence',
  truncate: 'truncate_sequence',
  inputs: 'input',
  progress: 'return_progress',
  'sampling.dry.base': 'dry_base',
  'sampling.dry.allowedLength': 'dry_allowed_length',
  'sampling.dry.sequenceBreakers': 'dry_sequence_breakers',
  'sampling.dry.multiplier': 'dry_multiplier',
  'sampling.dry': 'dry_multiplier',
}

/** The field that holds what is asked, by surface. */
export type PromptField = 'messages' | 'prompt' | 'input'

/** Turns a path in terms of GenerateJob, such as `sampling.topP`, into OpenAI's field, `top_p`. */
export function openaiParam(
  path: string | undefined,
  kind: EngineErrorKind,
  promptField: PromptField,
): string | undefined {
  if (kind === 'model_not_found') return 'model'
  if (path === undefined || path === 'prompt') {
    return path !== undefined || kind === 'context_length' ? promptField : undefined
  }
  const indexed = path.replace(/\.(\d+)(?=\.|$)/g, '[$1]')
  const [, field = '', rest = ''] = /^([\w.]*)(.*)$/.exec(indexed) ?? []
  const [name] = Object.keys(renamed).filter(key => field === key || field.startsWith(`${key}.`))
  if (name !== undefined) return renamed[name] + field.slice(name.length) + rest
  const bare = field.replace(/^(prompt|sampling)\./, '')
  return bare.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`) + rest
}
