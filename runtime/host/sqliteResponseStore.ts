import { DatabaseSync } from 'node:sqlite'
import {
  MAX_RESPONSE_AGE_MS,
  type ResponseStoreLimits,
} from '../../edge/responseStore/responseStoreLimits.ts'
import type { ResponseStore, StoredResponse } from '../../edge/responses/responseStore.ts'

const DEFAULT_LIMITS: ResponseStoreLimits = {
  maxResponses: 20_000,
  maxBytes: 2 ** 30,
  maxAgeMs: MAX_RESPONSE_AGE_MS,
}

/** Other processes add and drop too, so what is known of the whole is counted again now and then. */
const PUTS_PER_COUNT = 1000
/** A look at what all owners have takes some milliseconds, and is due once this share of all there may be has gone. */
const SHARE_PER_LOOK = 0.01
const DROPS_PER_PUT = 4
/** The time of use need not be exact, and a read should rarely be a write. */
const USED_PRECISION_MS = 3_600_000
const BUSY_MS = 2000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY,
    owner TEXT,
    used_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    json TEXT NOT NULL
  ) STRICT;
  -- All that counting and dropping need to look at.
  CREATE INDEX IF NOT EXISTS responses_by_use ON responses (used_ms, bytes);
  CREATE INDEX IF NOT EXISTS responses_by_owner ON responses (owner, used_ms, bytes);
`

/**
 * Responses in a SQLite file. When they are too many, those go first that their owner has not used for the longest time, of the
 * owner who has the most. The file may be shared by several processes of one machine. A call takes well under a
 * millisecond, so it is made in place.
 */
export class SqliteResponseStore implements ResponseStore {
  readonly #database: DatabaseSync
  readonly #clock: () => number
  readonly #limits: ResponseStoreLimits
  #putsUntilCount = 0
  /** Who makes room when it is needed. */
  #ownerOfMost: string | null = null
  /** What share has gone since that was found out. */
  #shareDropped = Infinity
  #numResponses = 0
  #numBytes = 0

  /**
   * @param clock unix milliseconds
   * @throws Error when the file is not a database, or cannot be written
   */
  constructor(path: string, clock: () => number, limits: ResponseStoreLimits = DEFAULT_LIMITS) {
    this.#clock = clock
    this.#limits = limits
    this.#database = new DatabaseSync(path, { timeout: BUSY_MS })
    // With a write-ahead log a commit waits for no disk; what a power cut may take is the last moment's.
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
    this.#database.exec(SCHEMA)
    this.#makeRoom()
  }

  async put(stored: StoredResponse): Promise<void> {
    const { id } = stored.response
    const json = JSON.stringify(stored)
    const bytes = Buffer.byteLength(json)
    const replaced = this.#database.prepare('SELECT bytes FROM responses WHERE id = ?').get(id)
    this.#run(
      'INSERT OR REPLACE INTO responses (id, owner, used_ms, bytes, json) VALUES (?, ?, ?, ?, ?)',
      id,
      stored.owner ?? null,
      this.#clock(),
      bytes,
      json,
    )
    this.#numResponses += replaced === undefined ? 1 : 0
    this.#numBytes += bytes - Number(replaced?.bytes ?? 0)
    this.#makeRoom()
  }

  async get(id: string, owner: string | undefined): Promise<StoredResponse | undefined> {
    const row = this.#database
      .prepare('SELECT json, used_ms FROM responses WHERE id = ? AND owner IS ?')
      .get(id, owner ?? null)
    if (row === undefined) return undefined
    const usedMs = Number(row.used_ms)
    const now = this.#clock()
    if (usedMs < now - this.#limits.maxAgeMs) return undefined
    if (usedMs < now - USED_PRECISION_MS) {
      this.#run('UPDATE responses SET used_ms = ? WHERE id = ?', now, id)
    }
    return JSON.parse(String(row.json)) as StoredResponse
  }

  async delete(id: string, owner: string | undefined): Promise<boolean> {
    const statement = 'DELETE FROM responses WHERE id = ? AND owner IS ? RETURNING bytes'
    const row = this.#database.prepare(statement).get(id, owner ?? null)
    if (row === undefined) return false
    this.#numResponses--
    this.#numBytes -= Number(row.bytes)
    return true
  }

  close(): void {
    this.#database.close()
  }

  /** Drops what is too old or too much, a few at a time: nothing here may hold up the event loop. */
  #makeRoom(): void {
    const { maxAgeMs, maxResponses, maxBytes } = this.#limits
    if (--this.#putsUntilCount < 0) this.#count()
    this.#drop('used_ms < ?', this.#clock() - maxAgeMs, DROPS_PER_PUT)
    for (let i = 0; i < DROPS_PER_PUT; i++) {
      if (this.#numResponses <= maxResponses && this.#numBytes <= maxBytes) return
      if (this.#shareDropped >= SHARE_PER_LOOK) this.#findOwnerOfMost()
      if (this.#drop('owner IS ?', this.#ownerOfMost, 1) === 0) this.#shareDropped = Infinity
    }
  }

  /** Drops those that were not used for the longest time. @returns how many */
  #drop(which: 'used_ms < ?' | 'owner IS ?', value: number | string | null, most: number): number {
    const { maxResponses, maxBytes } = this.#limits
    const dropped = this.#database
      .prepare(
        `DELETE FROM responses WHERE rowid IN (
           SELECT rowid FROM responses WHERE ${which} ORDER BY used_ms, bytes LIMIT ?
         ) RETURNING bytes`,
      )
      .all(value, most)
    for (const { bytes } of dropped) {
      this.#numResponses--
      this.#numBytes -= Number(bytes)
      this.#shareDropped += Math.max(1 / maxResponses, Number(bytes) / maxBytes)
    }
    return dropped.length
  }

  #findOwnerOfMost(): void {
    this.#shareDropped = 0
    const { maxResponses, maxBytes } = this.#limits
    const most = this.#database
      .prepare(
        `SELECT owner FROM responses GROUP BY owner
           ORDER BY max(count(*) / CAST(? AS REAL), total(bytes) / ?) DESC LIMIT 1`,
      )
      .get(maxResponses, maxBytes)
    this.#ownerOfMost = most?.owner == null ? null : String(most.owner)
  }

  #count(): void {
    this.#putsUntilCount = PUTS_PER_COUNT
    const totals = this.#database
      .prepare('SELECT count(*) AS num_responses, total(bytes) AS num_bytes FROM responses')
      .get()
    this.#numResponses = Number(totals?.num_responses)
    this.#numBytes = Number(totals?.num_bytes)
  }

  #run(statement: string, ...values: (string | number | null)[]): void {
    this.#database.prepare(statement).run(...values)
  }
}
