import { ApiError } from '../errors.ts'
import { Allowance } from './allowance.ts'
import type { KeyEntry } from './keyEntries.ts'

export type KeyLimitOptions = Pick<
  KeyEntry,
  'requestsPerMinute' | 'tokensPerMinute' | 'maxConcurrent'
>

/** How long the requests of others take is not known. */
const CONCURRENCY_RETRY_MS = 1000

/** What one key may still do. It counts in this process (on Workers: this isolate) alone. Time is an argument. */
export class KeyLimits {
  readonly #requests: Allowance | undefined
  readonly #tokens: Allowance | undefined
  readonly #maxConcurrent: number
  #numRunning = 0

  constructor(options: KeyLimitOptions, nowMs: number) {
    const { requestsPerMinute, tokensPerMinute, maxConcurrent = Infinity } = options
    const allow = (limit: number | undefined) =>
      limit === undefined ? undefined : new Allowance(limit, nowMs)
    this.#requests = allow(requestsPerMinute)
    this.#tokens = allow(tokensPerMinute)
    this.#maxConcurrent = maxConcurrent
  }

  /** Counts a request that begins; `end` must follow. @throws ApiError 429, and then nothing is counted */
  begin(nowMs: number): void {
    if (this.#numRunning >= this.#maxConcurrent) {
      const limit = `${this.#maxConcurrent} requests at once`
      throw tooMany(`This API key may run ${limit}.`, CONCURRENCY_RETRY_MS)
    }
    for (const [allowance, what] of [
      [this.#requests, 'requests'],
      [this.#tokens, 'tokens'],
    ] as const) {
      const waitMs = allowance?.waitMs(1, nowMs) ?? 0
      if (waitMs === 0) continue
      const limit = `${allowance?.perMinute} ${what} a minute`
      throw tooMany(`This API key may use ${limit}; try again in ${duration(waitMs)}.`, waitMs)
    }
    this.#requests?.spend(1, nowMs)
    this.#numRunning++
  }

  end(): void {
    this.#numRunning--
  }

  /** Counts tokens, of prompts or answers. @param amount negative to give some back */
  spendTokens(amount: number, nowMs: number): void {
    this.#tokens?.spend(amount, nowMs)
  }

  /** The `x-ratelimit-*` headers of the limits that there are. */
  headers(nowMs: number): Record<string, string> {
    const headers: Record<string, string> = {}
    for (const [allowance, what] of [
      [this.#requests, 'requests'],
      [this.#tokens, 'tokens'],
    ] as const) {
      if (allowance === undefined) continue
      const { perMinute } = allowance
      headers[`x-ratelimit-limit-${what}`] = String(perMinute)
      headers[`x-ratelimit-remaining-${what}`] = String(
        Math.max(0, Math.floor(allowance.left(nowMs))),
      )
      headers[`x-ratelimit-reset-${what}`] = duration(allowance.waitMs(perMinute, nowMs))
    }
    return headers
  }
}

/** In OpenAI's format, which is Go's: `120ms`, `1.5s`, `6m0s`, `1h0m0s`. */
export function duration(ms: number): string {
  const whole = Math.ceil(ms)
  if (whole < 1000) return `${whole}ms`
  if (whole < 60_000) return `${whole / 1000}s`
  const seconds = Math.ceil(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return `${hours > 0 ? `${hours}h` : ''}${minutes % 60}m${seconds % 60}s`
}

function tooMany(message: string, retryAfterMs: number): ApiError {
  return new ApiError({
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    message,
    retryAfterMs,
  })
}
