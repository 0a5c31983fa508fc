import type { EngineErrorData, EngineErrorKind } from '../engine.ts'
import { fromEngineError } from '../errors.ts'
import type { ResponseError } from './responseObject.ts'

/** The codes that a response's error may have are few; what is not among these is a `server_error`. */
const codes: Partial<Record<EngineErrorKind, string>> = {
  invalid: 'invalid_prompt',
  unsupported: 'invalid_prompt',
  too_large: 'invalid_prompt',
  context_length: 'invalid_prompt',
  invalid_grammar: 'invalid_prompt',
  unsupported_media: 'unsupported_image_media_type',
  unreachable_media: 'failed_to_download_image',
  busy: 'rate_limit_exceeded',
}

/** What is told of a failure within a response object. Source: `ResponseError` of the `openai` package. */
export function responseError(error: EngineErrorData): ResponseError {
  const { type } = fromEngineError(error, path => path).data
  return { code: codes[error.kind] ?? 'server_error', message: error.message, type }
}
