import { MAX_RESPONSE_AGE_MS } from './responseStoreLimits.ts'

/** The part of a Durable Object's storage that is needed. */
export interface ObjectStorage {
  get(keys: string[]): Promise<Map<string, unknown>>
  put(entries: Record<string, unknown>): Promise<void>
  deleteAll(): Promise<void>
  setAlarm(timeMs: number): Promise<void>
}

interface Meta {
  numPieces: number
  /** When it was last asked for, near enough. */
  usedMs: number
}

/** A value may have 2 MiB, a letter up to three bytes of them. */
const PIECE_LENGTH = 500_000
const USED_PRECISION_MS = 24 * 3_600_000

/** A Durable Object that holds one stored response: PUT, GET and DELETE of its JSON. It goes when it is not used for long. */
export class StoredResponseObject {
  readonly #storage: ObjectStorage

  constructor({ storage }: { storage: ObjectStorage }) {
    this.#storage = storage
  }

  async fetch(request: Request): Promise<Response> {
    if (request.method === 'PUT') {
      await this.#put(await request.text())
      return new Response(null, { status: 204 })
    }
    const json = await this.#get()
    if (json === undefined) return new Response(null, { status: 404 })
    if (request.method === 'DELETE') {
      await this.#storage.deleteAll()
      return new Response(null, { status: 204 })
    }
    return new Response(json)
  }

  async alarm(): Promise<void> {
    await this.#storage.deleteAll()
  }

  async #put(json: string): Promise<void> {
    const numPieces = Math.ceil(json.length / PIECE_LENGTH)
    const pieces = Array.from({ length: numPieces }, (_, i) => [
      `piece ${i}`,
      json.slice(i * PIECE_LENGTH, (i + 1) * PIECE_LENGTH),
    ])
    // In one call, so that it is all there or not at all.
    await this.#storage.put({ ...Object.fromEntries(pieces), ...this.#used(numPieces) })
    await this.#keep()
  }

  async #get(): Promise<string | undefined> {
    const meta = (await this.#storage.get(['meta'])).get('meta') as Meta | undefined
    if (meta === undefined) return undefined
    const keys = Array.from({ length: meta.numPieces }, (_, i) => `piece ${i}`)
    const pieces = await this.#storage.get(keys)
    if (Date.now() - meta.usedMs > USED_PRECISION_MS) {
      await this.#storage.put(this.#used(meta.numPieces))
      await this.#keep()
    }
    return keys.map(key => pieces.get(key)).join('')
  }

  #used(numPieces: number): { meta: Meta } {
    return { meta: { numPieces, usedMs: Date.now() } }
  }

  #keep(): Promise<void> {
    return this.#storage.setAlarm(Date.now() + MAX_RESPONSE_AGE_MS)
  }
}
