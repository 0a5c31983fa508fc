import { z } from 'zod'
import type { JsonObject } from '../engine.ts'
import { invalidValue, optional, parseFields } from '../schema.ts'

const RANGE = 'an integer between 1 and 100'

const listQuery = z.object({
  limit: optional(z.coerce.number(RANGE).int(RANGE).min(1, RANGE).max(100, RANGE)),
  order: optional(z.enum(['asc', 'desc'], "'asc' or 'desc'")),
  after: optional(z.string()),
})

/**
 * A page of items, newest first unless asked otherwise.
 * @throws ApiError 400 for a wrong `limit`, `order` or `after`
 */
export function listItems(items: JsonObject[], query: Record<string, string>) {
  const { limit = 20, order = 'desc', after } = parseFields(listQuery, query)
  const ordered = order === 'asc' ? items : items.toReversed()
  const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1
  if (after !== undefined && start === 0) {
    throw invalidValue('after', after, 'the id of an item in the list')
  }
  const data = ordered.slice(start, start + limit)
  return {
    object: 'list',
    data,
    first_id: data.at(0)?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < ordered.length,
  }
}
