import type { JsonObject, JsonValue } from '../engine.ts'
import { ApiError } from '../errors.ts'
import { responseOfItem } from './itemIds.ts'
import type { ResponseStore, StoredResponse } from './responseStore.ts'

export interface EarlierDeps {
  store: ResponseStore
  owner: string | undefined
  /** Of all that one request takes, as JSON: no more than it could have sent itself. */
  maxBytes: number
}

/** Items by their id; of several the first. */
export type ItemIndex = Map<JsonValue | undefined, JsonObject>

/**
 * What one request takes from stored responses, and from itself a second time. A few bytes can name much, and name it often:
 * each response is read once, and everything that is taken counts.
 */
export class EarlierItems {
  readonly #deps: EarlierDeps
  readonly #responses = new Map<string, StoredResponse | undefined>()
  readonly #indexes = new Map<string, ItemIndex>()
  readonly #sizes = new Map<JsonObject, number>()
  #numBytes = 0

  constructor(deps: EarlierDeps) {
    this.#deps = deps
  }

  /** @returns undefined for one that is unknown, forgotten or somebody else's */
  async response(id: string): Promise<StoredResponse | undefined> {
    if (this.#responses.has(id)) return this.#responses.get(id)
    const { store, owner } = this.#deps
    const stored = await store.get(id, owner)
    this.#responses.set(id, stored)
    return stored
  }

  /** The item of a stored response that has this id. */
  async item(id: string): Promise<JsonObject | undefined> {
    const responseId = responseOfItem(id)
    if (responseId === undefined) return undefined
    const stored = await this.response(responseId)
    if (stored === undefined) return undefined
    const index = this.#indexes.get(responseId) ?? new Map()
    if (index.size === 0) addToIndex(index, itemsOf(stored))
    this.#indexes.set(responseId, index)
    return index.get(id)
  }

  /** @param param the field that names the items @throws ApiError 413 when that makes too much */
  take(items: JsonObject[], param: string): void {
    for (const item of items) {
      const size = this.#sizes.get(item) ?? JSON.stringify(item).length
      this.#sizes.set(item, size)
      this.#numBytes += size
    }
    const { maxBytes } = this.#deps
    if (this.#numBytes <= maxBytes) return
    throw new ApiError({
      status: 413,
      type: 'invalid_request_error',
      code: 'request_too_large',
      message: `What the request continues or refers to is larger than the limit of ${maxBytes} bytes.`,
      param,
    })
  }
}

/** Of the request, then of the answer. */
export function itemsOf({ input, response }: StoredResponse): JsonObject[] {
  return [...input, ...(response.output as unknown as JsonObject[])]
}

export function addToIndex(index: ItemIndex, items: JsonObject[]): void {
  for (const item of items) if (!index.has(item.id)) index.set(item.id, item)
}
