import { hash } from 'node:crypto'
import type { KvGroup, PagePool } from './pages.ts'

const keyBytes = 43

/**
 * Keys of the full pages of one token sequence, for one page size: key i = SHA-256(key i-1, tokens of page i), so a key
 * names everything before it too. Keys are computed on demand and kept; tokens are only ever appended.
 */
export class PageKeys {
  readonly #pageTokens: number
  readonly #keys: string[]
  readonly #root: string
  readonly #buffer: Buffer

  constructor(pageTokens: number, root: string, keys: string[] = []) {
    this.#pageTokens = pageTokens
    this.#root = root
    this.#keys = keys
    this.#buffer = Buffer.alloc(keyBytes + 4 * pageTokens)
  }

  /** For a sequence that goes on differently; it must not have keys of pages beyond the common tokens. */
  clone(): PageKeys {
    return new PageKeys(this.#pageTokens, this.#root, [...this.#keys])
  }

  /** Key of page `index`, whose last token must be among `tokens`. */
  key(index: number, tokens: Int32Array): string {
    for (let i = this.#keys.length; i <= index; i++) {
      this.#buffer.write(this.#keys[i - 1] ?? this.#root, 'latin1')
      let at = keyBytes
      const end = (i + 1) * this.#pageTokens
      for (let p = i * this.#pageTokens; p < end; p++) {
        at = this.#buffer.writeInt32LE(tokens[p] ?? -1, at)
      }
      this.#keys.push(hash('sha256', this.#buffer, 'base64url'))
    }
    return this.#keys[index] ?? ''
  }
}

/** One chain of keys per distinct page size among the groups. */
export function pageKeysFor(groups: readonly KvGroup[], salt: string): Map<number, PageKeys> {
  const root = hash('sha256', salt, 'base64url')
  return new Map(groups.map(g => [g.pageTokens, new PageKeys(g.pageTokens, root)]))
}

/** The pages of a hit: for each group a table up to `tokens`, -1 where the window no longer looks. */
export interface PrefixHit {
  tokens: number
  tables: number[][]
}

/**
 * Finds pages by what they hold. A page is entered when the step that filled it has run, stays while it is referenced or
 * the pool can spare it, and is forgotten when the pool hands it out again.
 * Source of the idea: vLLM automatic prefix caching (hash chain over full pages); SHA-256 makes collisions no concern.
 */
export class PrefixCache {
  readonly #groups: readonly KvGroup[]
  readonly #pool: PagePool
  /** Per group: key to page. */
  readonly #pages: Map<string, number>[]
  readonly #owners: ({ group: number; key: string } | undefined)[]
  /** Hits end at multiples of this, a page border of every group. */
  readonly #stride: number

  constructor(groups: readonly KvGroup[], pool: PagePool) {
    this.#groups = groups
    this.#pool = pool
    this.#pages = groups.map(() => new Map())
    this.#owners = new Array(pool.numPages)
    this.#stride = groups.reduce((stride, g) => leastCommonMultiple(stride, g.pageTokens), 1)
    pool.onEvict = page => this.#forget(page)
  }

  /** Enters a full, computed and referenced page; does nothing when its contents are already known from another page. */
  enter(group: number, key: string, page: number): void {
    const pages = this.#pages[group]
    if (pages === undefined || pages.has(key) || this.#owners[page] !== undefined) return
    pages.set(key, page)
    this.#owners[page] = { group, key }
    this.#pool.keep(page)
  }

  /**
   * The longest prefix of at most `limit` tokens whose pages every group still has: all of them for full attention, those
   * of the last window for sliding. Takes no references.
   */
  find(tokens: Int32Array, limit: number, keys: ReadonlyMap<number, PageKeys>): PrefixHit {
    let end = limit - (limit % this.#stride)
    /** [group][i]: length of the run of present pages that ends with page i. */
    const runs: number[][] = []
    for (const [g, group] of this.#groups.entries()) {
      const chain = keys.get(group.pageTokens)
      const pages = this.#pages[g]
      const run: number[] = []
      const numPages = end / group.pageTokens
      for (let i = 0; i < numPages; i++) {
        const there = chain !== undefined && pages?.has(chain.key(i, tokens))
        run.push(there ? (run[i - 1] ?? 0) + 1 : 0)
        // Full attention can use nothing beyond its first hole.
        if (!there && group.window === null) break
      }
      if (group.window === null) {
        const whole = run.at(-1) === 0 ? run.length - 1 : run.length
        end = Math.min(end, Math.max(0, whole) * group.pageTokens)
        end -= end % this.#stride
      }
      runs.push(run)
    }
    for (; end > 0; end -= this.#stride) {
      const ok = this.#groups.every((group, g) => {
        const last = end / group.pageTokens - 1
        const wanted = last + 1 - firstVisiblePage(group, end)
        return (runs[g]?.[last] ?? 0) >= wanted
      })
      if (ok) break
    }
    const tables = this.#groups.map((group, g) => {
      const first = firstVisiblePage(group, end)
      const chain = keys.get(group.pageTokens)
      return Array.from({ length: end / group.pageTokens }, (_, i) =>
        i < first ? -1 : (this.#pages[g]?.get(chain?.key(i, tokens) ?? '') ?? -1),
      )
    })
    return { tokens: end, tables }
  }

  get size(): number {
    return this.#pages.reduce((n, pages) => n + pages.size, 0)
  }

  /** @throws when the maps and the pool disagree */
  checkInvariants(): void {
    for (const [g, pages] of this.#pages.entries()) {
      for (const [key, page] of pages) {
        const owner = this.#owners[page]
        if (owner?.group !== g || owner.key !== key) throw new Error(`page ${page} lost its key`)
        if (!this.#pool.isKept(page)) throw new Error(`page ${page} is cached but not kept`)
      }
    }
    const owned = this.#owners.reduce((n, owner) => n + (owner === undefined ? 0 : 1), 0)
    if (owned !== this.size) throw new Error(`${owned} keyed pages, ${this.size} keys`)
  }

  #forget(page: number): void {
    const owner = this.#owners[page]
    if (owner === undefined) throw new Error(`page ${page} was kept but is not cached`)
    this.#pages[owner.group]?.delete(owner.key)
    this.#owners[page] = undefined
  }
}

/** Index of the first page a query at `position` can see. */
export function firstVisiblePage(group: KvGroup, position: number): number {
  if (group.window === null) return 0
  return Math.floor(Math.max(0, position - group.window + 1) / group.pageTokens)
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y !== 0) [x, y] = [y, x % y]
  return (a / x) * b
}
