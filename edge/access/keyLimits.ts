import { ApiError } from '../errors.ts'
import { Allowance } from './allowance.ts'
import type { KeyEntry } from './keyEntries.ts'
import { MeteredRun } from './meteredRun.ts'

export type KeyLimitOptions = Pick<
  KeyEntry,
  'requestsPerMinute' | 'tokensPerMinute' | 'maxConcurrent'
>

/** How long the requests of others take is not known. */
const CONCURRENCY_RETRY_MS = 1000

/** Most jobs that one request asks after. */
const MAX_ASKED = 8

/** What one key may still do. It counts in this process (on Workers: this isolate) alone. */
export class KeyLimits {
  readonly #clock: () => number
  readonly #requests: Allowance | undefined
  readonly #tokens: Allowance | undefined
  /** Of texts that are split into tokens and no more: work as well, of which agents ask for as much as for answers. */
  readonly #splits: Allowance | undefined
  readonly #maxConcurrent: number
  /** The limits by the minute that there are. */
  readonly #perMinute: [what: 'requests' | 'tokens', allowance: Allowance][] = []
  /** In the order in which they were heard of, near enough; none where neither places nor tokens count. */
  readonly #running = new Set<MeteredRun>()

  /** @param clock Unix milliseconds, now and then set to another time */
  constructor(options: KeyLimitOptions, clock: () => number) {
    const { requestsPerMinute, tokensPerMinute, maxConcurrent = Infinity } = options
    const allow = (what: 'requests' | 'tokens', limit: number | undefined) => {
      if (limit === undefined) return undefined
      const allowance = new Allowance(limit, clock())
      this.#perMinute.push([what, allowance])
      return allowance
    }
    this.#clock = clock
    this.#requests = allow('requests', requestsPerMinute)
    this.#tokens = allow('tokens', tokensPerMinute)
    if (requestsPerMinute !== undefined) this.#splits = new Allowance(requestsPerMinute, clock())
    this.#maxConcurrent = maxConcurrent
  }

  /**
   * Counts a request that begins; the run must end.
   * @param numRequests 0 for one that was counted and is tried again
   * @throws ApiError 429, and then nothing is counted
   */
  begin(requestId: string, numRequests: 0 | 1): MeteredRun {
    const nowMs = this.#clock()
    if (this.#running.size >= this.#maxConcurrent) {
      const limit = `${this.#maxConcurrent} requests at once`
      throw tooMany(`This API key may run ${limit}.`, CONCURRENCY_RETRY_MS)
    }
    for (const [what, allowance] of this.#perMinute) {
      check(allowance, what, what === 'requests' ? numRequests : 1, nowMs)
    }
    this.#requests?.spend(numRequests, nowMs)
    const run = new MeteredRun(requestId, {
      clock: this.#clock,
      spendTokens: amount => this.spendTokens(amount),
      onEnd: ended => this.#running.delete(ended),
    })
    if (this.#tokens !== undefined || this.#maxConcurrent < Infinity) this.#running.add(run)
    return run
  }

  /** Counts a request that only splits texts into tokens, or joins them. @throws ApiError 429 */
  split(): void {
    if (this.#splits === undefined) return
    const nowMs = this.#clock()
    check(this.#splits, 'token counts', 1, nowMs)
    this.#splits.spend(1, nowMs)
  }

  /** Counts tokens, of prompts or answers. @param amount negative to give some back */
  spendTokens(amount: number): void {
    this.#tokens?.spend(amount, this.#clock())
  }

  /** The run of a job. */
  runOf(jobId: string): MeteredRun | undefined {
    return [...this.#running].find(run => run.isJob(jobId))
  }

  /** The runs that the id of a job or a request names. */
  named(id: string): MeteredRun[] {
    return [...this.#running].filter(run => run.isNamed(id))
  }

  /** Runs to ask after before another may begin or is refused: nobody may be there to see what they use, or their end. */
  silent(): MeteredRun[] {
    const nowMs = this.#clock()
    if (this.#tokens === undefined && this.#running.size < this.#maxConcurrent) return []
    const silent: MeteredRun[] = []
    for (const run of this.#running) {
      if (run.isSilent(nowMs) && silent.push(run) === MAX_ASKED) break
    }
    // The next request asks after others.
    for (const run of silent) if (this.#running.delete(run)) this.#running.add(run)
    return silent
  }

  /** The `x-ratelimit-*` headers of the limits that there are. */
  headers(): Record<string, string> {
    const nowMs = this.#clock()
    const headers: Record<string, string> = {}
    for (const [what, allowance] of this.#perMinute) {
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

/** @throws ApiError 429 when less is left, with the time until it is */
function check(allowance: Allowance, what: string, amount: number, nowMs: number): void {
  const waitMs = allowance.waitMs(amount, nowMs)
  if (waitMs === 0) return
  const limit = `${allowance.perMinute} ${what} a minute`
  throw tooMany(`This API key may use ${limit}; try again in ${duration(waitMs)}.`, waitMs)
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
