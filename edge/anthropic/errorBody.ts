import type { EngineErrorData, EngineErrorKind } from '../engine.ts'
import { type ApiErrorData, fromEngineError } from '../errors.ts'

/** A status of ours and what Anthropic calls it; `overloaded_error` is its word for "come back soon". */
const byStatus: Record<number, { status: number; type: string }> = {
  401: { status: 401, type: 'authentication_error' },
  403: { status: 403, type: 'permission_error' },
  404: { status: 404, type: 'not_found_error' },
  413: { status: 413, type: 'request_too_large' },
  429: { status: 429, type: 'rate_limit_error' },
  503: { status: 529, type: 'overloaded_error' },
  504: { status: 504, type: 'timeout_error' },
}

/** The status and type that Anthropic's clients know a failure by. */
export function anthropicOutcome(status: number): { status: number; type: string } {
  const type = status >= 500 ? 'api_error' : 'invalid_request_error'
  return byStatus[status] ?? { status, type }
}

/** Reads this code in `details`: Anthropic's tool runner, which then sends whole conversations. */
export const THREADS_UNSUPPORTED = 'thread_unsupported_request'

/** Anthropic's error body; the field at fault is in the message, which has no other place for it. */
export function anthropicErrorBody(
  { status, message, code, param }: ApiErrorData,
  requestId: string,
) {
  const details = { error_code: code, unsupported: [param] }
  return {
    type: 'error',
    error: {
      type: anthropicOutcome(status).type,
      message,
      ...(code === THREADS_UNSUPPORTED && { details }),
    },
    request_id: requestId,
  }
}

/** The data of an `error` event in a stream that has begun. */
export function streamErrorBody(error: EngineErrorData, requestId: string) {
  return anthropicErrorBody(fromEngineError(error, path => path).data, requestId)
}

const renamed: Record<string, string> = {
  prompt: 'messages',
  'prompt.toolChoice': 'tool_choice',
  'prompt.reasoning': 'thinking',
  'prompt.templateOptions': 'thinking',
  maxReasoningTokens: 'thinking.budget_tokens',
  stop: 'stop_sequences',
  grammar: 'output_config.format',
}

/** Turns a path in terms of GenerateJob into Anthropic's field. */
export function anthropicParam(
  path: string | undefined,
  kind: EngineErrorKind,
): string | undefined {
  if (kind === 'model_not_found') return 'model'
  if (path === undefined) return kind === 'context_length' ? 'messages' : undefined
  const known = renamed[path]
  if (known !== undefined) return known
  const bare = path.replace(/^(prompt|sampling)\./, '')
  return bare
    .replace(/\.(\d+)(?=\.|$)/g, '[$1]')
    .replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
