const MINUTE_MS = 60_000

/**
 * An amount that may be spent in a minute and comes back evenly (a token bucket). It may be overdrawn, since the cost of an
 * answer is known only when it is there; nothing more is given out until that is made up for. Time is an argument.
 */
export class Allowance {
  readonly perMinute: number
  #left: number
  #atMs: number

  constructor(perMinute: number, nowMs: number) {
    this.perMinute = perMinute
    this.#left = perMinute
    this.#atMs = nowMs
  }

  /** What is left now; negative when overdrawn. */
  left(nowMs: number): number {
    // A clock that was set back gives nothing.
    const elapsedMs = Math.max(0, nowMs - this.#atMs)
    this.#atMs = nowMs
    this.#left = Math.min(this.perMinute, this.#left + (elapsedMs * this.perMinute) / MINUTE_MS)
    return this.#left
  }

  /** @param amount negative to give back what was not used after all */
  spend(amount: number, nowMs: number): void {
    this.#left = Math.min(this.perMinute, this.left(nowMs) - amount)
  }

  /** Milliseconds until so much is left. */
  waitMs(amount: number, nowMs: number): number {
    return Math.max(0, ((amount - this.left(nowMs)) * MINUTE_MS) / this.perMinute)
  }
}
