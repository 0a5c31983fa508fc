import type { PagePool } from './pages.ts'

/** Pages given up while a step that uses them is still under way: they go back to the pool when it is done. */
export class PendingReleases {
  readonly #pool: PagePool
  readonly #byStep = new Map<number, number[]>()
  #lastDone = -1
  #count = 0

  constructor(pool: PagePool) {
    this.#pool = pool
  }

  /** Pages on their way back. */
  get count(): number {
    return this.#count
  }

  /** Releases a page once step `step` is done, which may be now. */
  after(step: number, page: number): void {
    if (step <= this.#lastDone) {
      this.#pool.release(page)
      return
    }
    const pages = this.#byStep.get(step)
    if (pages === undefined) this.#byStep.set(step, [page])
    else pages.push(page)
    this.#count++
  }

  /** Steps are done in order. */
  stepDone(step: number): void {
    this.#lastDone = step
    const pages = this.#byStep.get(step)
    if (pages === undefined) return
    this.#byStep.delete(step)
    this.#count -= pages.length
    for (const page of pages) this.#pool.release(page)
  }

  *pages(): Iterable<number> {
    for (const pages of this.#byStep.values()) yield* pages
  }
}
