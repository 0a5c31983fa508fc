import type { ChatMessage, JsonObject } from '../engine.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import {
  addToIndex,
  type EarlierDeps,
  EarlierItems,
  type ItemIndex,
  itemsOf,
} from './earlierItems.ts'
import { type PlacedItem, toMessages } from './inputMessages.ts'
import { isOver } from './storedRuns.ts'

/**
 * The turns a response answers: instructions, which are of this request alone, then what came before, then the input.
 * @throws ApiError 404 `previous_response_not_found`, 400 for a reference to an item that is not there, 413 for too much
 */
export async function conversation(
  { input, previousId, instructions }: ConversationInput,
  deps: EarlierDeps,
): Promise<ChatMessage[]> {
  const earlier = new EarlierItems(deps)
  const history = await historyOf(previousId, earlier)
  const placed: PlacedItem[] = history.map(item => ({ item, path: 'previous_response_id' }))
  const known: ItemIndex = new Map()
  addToIndex(known, history)
  for (const [i, item] of input.entries()) {
    const path = `input[${i}]`
    const isReference = item.type === 'item_reference'
    const meant = isReference ? await resolve(item, path, known, earlier) : item
    placed.push({ item: meant, path })
    addToIndex(known, [meant])
  }
  const system = instructions === null ? [] : [{ role: 'system', content: instructions }]
  return [...system, ...toMessages(placed)]
}

export interface ConversationInput {
  input: JsonObject[]
  previousId: string | null
  instructions: string | null
}

/** Items of all responses before, oldest first. */
async function historyOf(previousId: string | null, earlier: EarlierItems): Promise<JsonObject[]> {
  const turns: JsonObject[][] = []
  for (let id = previousId; id !== null; ) {
    const stored = await earlier.response(id)
    if (stored === undefined) throw notFound(id, previousId)
    if (!isOver(stored)) {
      throw invalidRequest('previous_response_id', `The response '${id}' is still in progress.`)
    }
    const items = itemsOf(stored)
    earlier.take(items, 'previous_response_id')
    turns.push(items)
    id = stored.response.previous_response_id
  }
  return turns.reverse().flat()
}

async function resolve(
  { id }: JsonObject,
  path: string,
  known: ItemIndex,
  earlier: EarlierItems,
): Promise<JsonObject> {
  const found = known.get(id) ?? (await earlier.item(String(id)))
  if (found === undefined) {
    throw invalidRequest(`${path}.id`, `There is no item with the id '${id}'.`)
  }
  earlier.take([found], `${path}.id`)
  return found
}

function notFound(id: string, asked: string | null): ApiError {
  const within = id === asked ? '' : `, which '${asked}' continues,`
  return new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'previous_response_not_found',
    message: `The previous response '${id}'${within} was not found.`,
    param: 'previous_response_id',
  })
}
