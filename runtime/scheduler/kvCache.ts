import { type KvGroup, PagePool } from './pages.ts'
import { PendingReleases } from './pendingReleases.ts'
import { firstVisiblePage, PrefixCache, type PrefixHit } from './prefixCache.ts'
import type { Sequence } from './sequence.ts'

/** A page that a step fills to the end. */
export interface FilledPage {
  sequence: Sequence
  group: number
  index: number
  page: number
}

export interface KvCacheOptions {
  groups: readonly KvGroup[]
  numPages: number
  prefixCache: boolean
}

/** The pages of sequences: taken, shared, given back after the last step that uses them, and found again by prefix. */
export class KvCache {
  readonly pool: PagePool
  readonly #groups: readonly KvGroup[]
  readonly #cachesPrefixes: boolean
  readonly #cache: PrefixCache
  readonly #releases: PendingReleases

  constructor({ groups, numPages, prefixCache }: KvCacheOptions) {
    this.pool = new PagePool(numPages)
    this.#groups = groups
    this.#cachesPrefixes = prefixCache
    this.#cache = new PrefixCache(groups, this.pool)
    this.#releases = new PendingReleases(this.pool)
  }

  /** Pages that come back when steps under way are done. */
  get numReturning(): number {
    return this.#releases.count
  }

  /**
   * The pages a sequence would find. At least one token is left to compute, for its logits, and all whose logits score
   * the next.
   */
  findPrefix(sequence: Sequence): PrefixHit {
    const limit = Math.min(sequence.length - 1, sequence.scored)
    return this.#cachesPrefixes
      ? this.#cache.find(sequence.tokens, limit, sequence.keys)
      : { tokens: 0, tables: this.#groups.map(() => []) }
  }

  /** Pages that starting with a hit takes out of what is available, now and until the present tokens are computed. */
  costOfStart(sequence: Sequence, hit: PrefixHit): number {
    let pages = this.#missing(sequence, hit.tables)
    for (const table of hit.tables) {
      for (const page of table) if (page >= 0 && this.pool.refCount(page) === 0) pages++
    }
    return pages
  }

  /** Pages a running sequence still takes for its present tokens, and one each to grow. */
  costToContinue(sequence: Sequence): number {
    return this.#missing(sequence, sequence.tables) + this.#groups.length
  }

  /** Gives a sequence without pages its hit. */
  start(sequence: Sequence, hit: PrefixHit): void {
    for (const table of hit.tables) {
      for (const page of table) if (page >= 0) this.pool.retain(page)
    }
    sequence.tables = hit.tables
    sequence.planned = hit.tokens
    sequence.computed = Math.max(sequence.computed, hit.tokens)
  }

  /** Pages to take for the next `chunk` tokens. */
  pagesFor(sequence: Sequence, chunk: number): number {
    let pages = 0
    for (const [g, group] of this.#groups.entries()) {
      const end = Math.ceil((sequence.planned + chunk) / group.pageTokens)
      pages += Math.max(0, end - (sequence.tables[g]?.length ?? 0))
    }
    return pages
  }

  /** Takes the pages for the next `chunk` tokens, which must be available. */
  extend(sequence: Sequence, chunk: number): void {
    for (const [g, group] of this.#groups.entries()) {
      const table = sequence.tables[g]
      const end = Math.ceil((sequence.planned + chunk) / group.pageTokens)
      while (table !== undefined && table.length < end) {
        const page = this.pool.alloc()
        if (page < 0) throw new Error('the pool handed out fewer pages than it promised')
        table.push(page)
      }
    }
  }

  /** Gives back pages that the next token can no longer see. */
  releaseBehindWindow(sequence: Sequence): void {
    for (const [g, group] of this.#groups.entries()) {
      if (group.window === null) continue
      const table = sequence.tables[g] ?? []
      const visible = Math.min(firstVisiblePage(group, sequence.planned), table.length)
      for (let i = visible - 1; i >= 0; i--) {
        const page = table[i] ?? -1
        if (page < 0) break
        table[i] = -1
        this.#releases.after(sequence.lastStep, page)
      }
    }
  }

  /** Gives back all pages. */
  release(sequence: Sequence): void {
    for (const table of sequence.tables) {
      // Last page first: the pool takes back the oldest release first, and the start of a prefix is worth most.
      for (let i = table.length - 1; i >= 0; i--) {
        const page = table[i] ?? -1
        if (page >= 0) this.#releases.after(sequence.lastStep, page)
      }
    }
    sequence.tables = this.#groups.map(() => [])
  }

  /**
   * Lets a follower go on from where its leader is: full pages are shared, those begun are copied after the step.
   * @returns false, and does nothing, when there are no pages for the copies
   */
  fork(leader: Sequence, follower: Sequence, copies: { from: number[]; to: number[] }): boolean {
    const begun = this.#groups.filter(g => leader.planned % g.pageTokens !== 0).length
    if (begun > this.pool.numAvailable) return false
    follower.tables = this.#groups.map((group, g) =>
      (leader.tables[g] ?? []).map((page, i) => {
        if ((i + 1) * group.pageTokens <= leader.planned) {
          if (page >= 0) this.pool.retain(page)
          return page
        }
        const copy = this.pool.alloc()
        copies.from.push(page)
        copies.to.push(copy)
        return copy
      }),
    )
    for (const [pageTokens, keys] of leader.keys) follower.keys.set(pageTokens, keys.clone())
    follower.planned = leader.planned
    follower.computed = leader.planned
    return true
  }

  /** Pages that computing tokens `from`..`end`-1 fills to the end, for `enter` when that is done. */
  filledPages(sequence: Sequence, from: number, end: number): FilledPage[] {
    const filled: FilledPage[] = []
    if (!this.#cachesPrefixes) return filled
    for (const [group, { pageTokens }] of this.#groups.entries()) {
      const table = sequence.tables[group] ?? []
      for (let i = Math.floor(from / pageTokens); (i + 1) * pageTokens <= end; i++) {
        filled.push({ sequence, group, index: i, page: table[i] ?? -1 })
      }
    }
    return filled
  }

  /** Makes computed pages known to later sequences. */
  enter(filled: readonly FilledPage[]): void {
    for (const { sequence, group, index, page } of filled) {
      const pageTokens = this.#groups[group]?.pageTokens ?? 1
      const keys = sequence.keys.get(pageTokens)
      // A token drawn for a sequence that had finished was never kept.
      if (page < 0 || keys === undefined || (index + 1) * pageTokens > sequence.length) continue
      this.#cache.enter(group, keys.key(index, sequence.tokens), page)
    }
  }

  /** Steps are done in order. */
  stepDone(step: number): void {
    this.#releases.stepDone(step)
  }

  /** @throws when reference counts and tables disagree; `holders` are all sequences that hold pages */
  checkInvariants(holders: Iterable<Sequence>): void {
    this.pool.checkInvariants()
    this.#cache.checkInvariants()
    const refs = new Int32Array(this.pool.numPages)
    for (const page of this.#releases.pages()) refs[page] = (refs[page] ?? 0) + 1
    for (const sequence of holders) {
      for (const [g, table] of sequence.tables.entries()) {
        const group = this.#groups[g]
        if (group === undefined) throw new Error('more tables than groups')
        if (table.length < Math.ceil(sequence.planned / group.pageTokens)) {
          throw new Error(`${sequence.planned} tokens in ${table.length} pages of group ${g}`)
        }
        const first = firstVisiblePage(group, sequence.planned)
        for (const [i, page] of table.entries()) {
          if (page >= 0) refs[page] = (refs[page] ?? 0) + 1
          else if (i >= first) throw new Error(`page ${i} of group ${g} is still visible but freed`)
        }
      }
    }
    for (let page = 0; page < refs.length; page++) {
      const counted = this.pool.refCount(page)
      if (refs[page] !== counted) {
        throw new Error(`page ${page} is used ${refs[page]} times, ${counted} counted`)
      }
    }
  }

  /** Pages still to take for the present tokens; of a sliding group at most what it holds at once. */
  #missing(sequence: Sequence, tables: number[][]): number {
    let missing = 0
    for (const [g, group] of this.#groups.entries()) {
      const held = tables[g]?.length ?? 0
      const more = Math.max(0, Math.ceil(sequence.totalLength / group.pageTokens) - held)
      const atOnce = group.window === null ? more : Math.ceil(group.window / group.pageTokens) + 1
      missing += Math.min(more, atOnce)
    }
    return missing
  }
}
