import { EngineError, type EngineErrorData, type EngineErrorKind } from './engine.ts'

export interface ApiErrorData {
  status: number
  type: ApiErrorType
  code: string | null
  message: string
  /** JSON path in the request, for example `messages[0].content`. */
  param?: string | undefined
  retryAfterMs?: number
  headers?: Record<string, string>
}

export type ApiErrorType =
  | 'invalid_request_error'
  | 'permission_error'
  | 'rate_limit_error'
  | 'server_error'

/** A failure with the status and code a client is told, independent of the protocol's error body. */
export class ApiError extends Error {
  readonly data: ApiErrorData

  constructor(data: ApiErrorData, options?: ErrorOptions) {
    super(data.message, options)
    this.name = 'ApiError'
    this.data = data
  }
}

/** The request body is wrong: 400 naming the field. */
export function invalidRequest(
  param: string | undefined,
  message: string,
  code: string | null = 'invalid_value',
): ApiError {
  return new ApiError({ status: 400, type: 'invalid_request_error', code, message, param })
}

/** The request is right, but this server cannot do what the field asks. */
export function unsupported(param: string, message: string): ApiError {
  return invalidRequest(param, message, 'unsupported_value')
}

type Outcome = Pick<ApiErrorData, 'status' | 'type' | 'code'>

const outcomes: Record<EngineErrorKind, Outcome> = {
  invalid: { status: 400, type: 'invalid_request_error', code: 'invalid_value' },
  unsupported: { status: 400, type: 'invalid_request_error', code: 'unsupported_value' },
  too_large: { status: 413, type: 'invalid_request_error', code: 'request_too_large' },
  model_not_found: { status: 404, type: 'invalid_request_error', code: 'model_not_found' },
  job_not_found: { status: 404, type: 'invalid_request_error', code: 'not_found' },
  context_length: { status: 400, type: 'invalid_request_error', code: 'context_length_exceeded' },
  unsupported_media: { status: 400, type: 'invalid_request_error', code: 'unsupported_media' },
  unreachable_media: {
    status: 400,
    type: 'invalid_request_error',
    code: 'failed_to_download_image',
  },
  invalid_grammar: { status: 400, type: 'invalid_request_error', code: 'invalid_grammar' },
  conflict: { status: 409, type: 'invalid_request_error', code: 'conflict' },
  // Clients try 409 again, which would undo it; Google's APIs answer with this number too (google.rpc.Code CANCELLED).
  cancelled: { status: 499, type: 'invalid_request_error', code: 'cancelled' },
  busy: { status: 429, type: 'rate_limit_error', code: 'queue_full' },
  loading: { status: 503, type: 'server_error', code: 'model_loading' },
  draining: { status: 503, type: 'server_error', code: 'server_shutting_down' },
  unavailable: { status: 502, type: 'server_error', code: 'upstream_error' },
  timeout: { status: 504, type: 'server_error', code: 'timeout' },
  internal: { status: 500, type: 'server_error', code: 'internal_error' },
}

/** Kinds after which trying again soon is the right thing to do. */
const defaultRetryMs: Partial<Record<EngineErrorKind, number>> = {
  busy: 1000,
  loading: 1000,
  draining: 1000,
}

/** A loading model is worth asking for often: a client should not sleep past the moment it is ready. */
const MAX_LOADING_RETRY_MS = 5000

/**
 * Maps a failure of the engine to what the client is told.
 * @param toParam translates a path in terms of GenerateJob into the protocol's field
 */
export function fromEngineError(
  error: EngineErrorData,
  toParam: (path: string | undefined, kind: EngineErrorKind) => string | undefined,
): ApiError {
  // An engine of a newer version may send a kind this edge does not know.
  const outcome = outcomes[error.kind] ?? outcomes.internal
  let retryAfterMs = error.retryAfterMs ?? defaultRetryMs[error.kind]
  if (error.kind === 'loading' && retryAfterMs !== undefined) {
    retryAfterMs = Math.min(retryAfterMs, MAX_LOADING_RETRY_MS)
  }
  const param = toParam(error.param, error.kind)
  return new ApiError({
    ...outcome,
    // An engine that is left alone for a while: what `Retry-After` is made for (RFC 9110, 15.6.4).
    ...(error.kind === 'unavailable' && retryAfterMs !== undefined && { status: 503 }),
    message: inTermsOf(param, error),
    param,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** The engine begins a message with the name it has for a field; the client knows another. */
function inTermsOf(param: string | undefined, error: EngineErrorData): string {
  const { message, param: engineParam } = error
  if (param === undefined || engineParam === undefined) return message
  return message.startsWith(`${engineParam} `) ? param + message.slice(engineParam.length) : message
}

/** Whether the reading may have failed and not the job, which then goes on elsewhere and is to be asked for again. */
export function isOfReading({ kind }: EngineErrorData): boolean {
  return kind === 'unavailable' || kind === 'draining' || kind === 'timeout'
}

/** Reads any thrown value as engine error data; a bug's message stays out of the response. */
export function toEngineErrorData(error: unknown): EngineErrorData {
  if (error instanceof EngineError) return error.toData()
  return { kind: 'internal', message: 'The server had an error while processing your request.' }
}

/** A failure that will repeat: nothing the client can change, and nothing a retry would. */
export function internalError(cause: unknown): ApiError {
  const { message } = toEngineErrorData(undefined)
  return new ApiError(
    { ...outcomes.internal, message, headers: { 'x-should-retry': 'false' } },
    { cause },
  )
}

/** Response headers of an error besides its content type. */
export function errorHeaders({ retryAfterMs, headers }: ApiErrorData): Record<string, string> {
  if (retryAfterMs === undefined) return { ...headers }
  const ms = Math.max(1, Math.ceil(retryAfterMs))
  return { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(ms), ...headers }
}
