import http from 'node:http'
import { hubAuthorization } from './hubEnvironment.ts'

/** A hub that does not even answer must not hold up the next source. */
const ANSWER_TIMEOUT_MS = 10_000

/** What the hub answered instead of data, or that it did not answer (`status` 0). */
export class HubError extends Error {
  readonly status: number
  /** The hub's own name for it, such as `GatedRepo` or `EntryNotFound`; empty without one. */
  readonly code: string

  constructor(message: string, status: number, code = '', options?: ErrorOptions) {
    super(message, options)
    this.name = 'HubError'
    this.status = status
    this.code = code
  }

  /** Nothing is wrong with the request: later, or elsewhere, it may work. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/**
 * A request to the hub with the user's token, which fetch drops on a redirect to another host.
 * @param timeoutMs how long its first answer may take; the body may take longer
 * @throws HubError for every status of 400 and above, and when there is no answer
 */
export async function hubRequest(
  url: string,
  init: { method?: string; headers?: Record<string, string>; redirect?: 'manual' } = {},
  signal?: AbortSignal,
): Promise<Response> {
  useEnvironmentProxy()
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), ANSWER_TIMEOUT_MS)
  const signals = signal === undefined ? [timeout.signal] : [timeout.signal, signal]
  let response: Response
  try {
    response = await fetch(url, {
      ...init,
      headers: { 'accept-encoding': 'identity', ...(await hubAuthorization()), ...init.headers },
      signal: AbortSignal.any(signals),
    })
  } catch (error) {
    if (timeout.signal.aborted) {
      throw new HubError(`${url} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`, 0)
    }
    throw new HubError(`${url} could not be reached: ${networkReason(error)}`, 0)
  } finally {
    clearTimeout(timer)
  }
  if (response.status < 400) return response
  await response.body?.cancel()
  const reason = response.headers.get('x-error-message') ?? response.statusText
  throw new HubError(
    `${url} answered ${response.status}${reason && ` (${reason})`}`,
    response.status,
    response.headers.get('x-error-code') ?? '',
  )
}

/** fetch says `fetch failed` and keeps the reason in its cause; several addresses that fail have no message at all. */
export function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return String(cause)
  return cause.message || String((cause as NodeJS.ErrnoException).code ?? cause.name)
}

let usesProxy = false

/** `HTTPS_PROXY` and the like; Node's fetch looks at them only when asked to. */
function useEnvironmentProxy(): void {
  if (usesProxy) return
  usesProxy = true
  http.setGlobalProxyFromEnv?.()
}
