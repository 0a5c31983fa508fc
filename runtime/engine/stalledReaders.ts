import type { Job } from './job.ts'

/** Jobs whose readers lag: their events wait, and nothing more is computed for them. */
export class StalledReaders {
  readonly #stallMs: number
  readonly #onGivenUp: (job: Job) => void
  readonly #since = new Map<Job, number>()
  #timer: NodeJS.Timeout | undefined

  /** @param onGivenUp called with each job whose reader has taken nothing for `stallMs`, give or take a quarter */
  constructor(stallMs: number, onGivenUp: (job: Job) => void) {
    this.#stallMs = stallMs
    this.#onGivenUp = onGivenUp
  }

  has(job: Job): boolean {
    return this.#since.has(job)
  }

  add(job: Job, nowMs: number): void {
    this.#since.set(job, nowMs)
    this.#watch()
  }

  /** @returns whether it was there */
  delete(job: Job): boolean {
    return this.#since.delete(job)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#since.clear()
  }

  #watch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const now = performance.now()
      for (const [job, sinceMs] of this.#since) {
        if (now - sinceMs < this.#stallMs) continue
        this.#since.delete(job)
        this.#onGivenUp(job)
      }
      if (this.#since.size > 0) this.#watch()
    }, this.#stallMs / 4).unref()
  }
}
