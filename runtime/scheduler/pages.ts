/** A KV group as the scheduler sees it: layers that cache alike, over one pool of pages equal in bytes. */
export interface KvGroup {
  /** Tokens of all the group's layers that fit one page. */
  pageTokens: number
  /** Sliding attention: key j is visible to query i when 0 <= i - j < window; null = full attention. */
  window: number | null
}

/**
 * Pages a sequence of `length` tokens needs at once when it runs alone, one token at a time: what a pool must have for it
 * to be served at all.
 */
export function pagesForLength(groups: readonly KvGroup[], length: number): number {
  let pages = 0
  for (const { pageTokens, window } of groups) {
    const all = Math.ceil(length / pageTokens)
    // The window before a query spans at most this many pages, the query's own included.
    pages += window === null ? all : Math.min(all, Math.ceil((window - 1) / pageTokens) + 1)
  }
  return pages
}

/** The longest sequence a pool can serve, at most `maxLength`. */
export function longestSequence(
  groups: readonly KvGroup[],
  numPages: number,
  maxLength: number,
): number {
  let low = 0
  let high = maxLength
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (pagesForLength(groups, middle) <= numPages) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * The pool of KV pages: reference counts, free pages, and pages nobody refers to whose contents the prefix cache still
 * knows. Those are taken back, least recently released first, when the free ones run out.
 */
export class PagePool {
  readonly numPages: number
  /** Called with a page whose cached contents are about to be lost. */
  onEvict: (page: number) => void = () => {}
  readonly #refs: Int32Array
  readonly #cached: Uint8Array
  readonly #free: Int32Array
  #numFree: number
  /** Idle pages as a ring through a sentinel at index numPages: next = the oldest. */
  readonly #next: Int32Array
  readonly #prev: Int32Array
  #numIdle = 0

  constructor(numPages: number) {
    this.numPages = numPages
    this.#refs = new Int32Array(numPages)
    this.#cached = new Uint8Array(numPages)
    this.#free = Int32Array.from({ length: numPages }, (_, i) => numPages - 1 - i)
    this.#numFree = numPages
    this.#next = new Int32Array(numPages + 1).fill(numPages)
    this.#prev = new Int32Array(numPages + 1).fill(numPages)
  }

  /** Pages `alloc` can still hand out. */
  get numAvailable(): number {
    return this.#numFree + this.#numIdle
  }

  /** Unreferenced pages that hold cached contents. */
  get numIdle(): number {
    return this.#numIdle
  }

  /** Pages referenced by sequences. */
  get numUsed(): number {
    return this.numPages - this.#numFree - this.#numIdle
  }

  /** Pages whose cached contents gave way to something else, since the start. */
  numEvicted = 0

  refCount(page: number): number {
    return this.#refs[page] ?? 0
  }

  /** @returns a page with one reference, or -1 when every page is referenced */
  alloc(): number {
    let page: number
    if (this.#numFree > 0) {
      page = this.#free[--this.#numFree] ?? -1
    } else if (this.#numIdle > 0) {
      page = this.#next[this.numPages] ?? -1
      this.#unlink(page)
      this.#cached[page] = 0
      this.numEvicted++
      this.onEvict(page)
    } else return -1
    this.#refs[page] = 1
    return page
  }

  /** Adds a reference to a page in use or idle. */
  retain(page: number): void {
    const refs = this.refCount(page)
    if (refs === 0) {
      if (this.#cached[page] !== 1) throw new Error(`page ${page} is free and cannot be shared`)
      this.#unlink(page)
    }
    this.#refs[page] = refs + 1
  }

  /** Drops a reference; the last one makes the page idle (contents cached) or free. */
  release(page: number): void {
    const refs = this.refCount(page)
    if (refs <= 0) throw new Error(`page ${page} is released more often than it was taken`)
    this.#refs[page] = refs - 1
    if (refs > 1) return
    if (this.#cached[page] === 1) this.#linkNewest(page)
    else this.#free[this.#numFree++] = page
  }

  /** Keeps the contents of a referenced page after its last release, until the space is needed. */
  keep(page: number): void {
    if (this.refCount(page) === 0) throw new Error(`page ${page} is not in use`)
    this.#cached[page] = 1
  }

  isKept(page: number): boolean {
    return this.#cached[page] === 1
  }

  /** @throws when counts, lists and flags disagree (integrity check for tests and idle moments) */
  checkInvariants(): void {
    const seen = new Uint8Array(this.numPages)
    const visit = (page: number, where: string) => {
      if (seen[page] !== 0) throw new Error(`page ${page} is listed twice (${where})`)
      seen[page] = 1
      if (this.refCount(page) !== 0) throw new Error(`page ${page} is ${where} but referenced`)
    }
    for (let i = 0; i < this.#numFree; i++) visit(this.#free[i] ?? -1, 'free')
    let idle = 0
    for (let p = this.#next[this.numPages] ?? 0; p !== this.numPages; p = this.#next[p] ?? 0) {
      visit(p, 'idle')
      if (this.#cached[p] !== 1) throw new Error(`idle page ${p} holds nothing`)
      idle++
    }
    if (idle !== this.#numIdle) throw new Error(`${idle} idle pages, counted ${this.#numIdle}`)
    for (let p = 0; p < this.numPages; p++) {
      if (seen[p] === 0 && this.refCount(p) <= 0) throw new Error(`page ${p} is lost`)
    }
  }

  #unlink(page: number): void {
    const next = this.#next[page] ?? 0
    const prev = this.#prev[page] ?? 0
    this.#next[prev] = next
    this.#prev[next] = prev
    this.#numIdle--
  }

  #linkNewest(page: number): void {
    const last = this.#prev[this.numPages] ?? 0
    this.#next[last] = page
    this.#prev[page] = last
    this.#next[page] = this.numPages
    this.#prev[this.numPages] = page
    this.#numIdle++
  }
}
