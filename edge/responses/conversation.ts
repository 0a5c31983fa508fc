import type { ChatMessage, JsonObject } from '../engine.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import { type PlacedItem, toMessages } from './inputMessages.ts'
import { responseOfItem } from './itemIds.ts'
import type { ResponseStore, StoredResponse } from './responseStore.ts'
import { isOver } from './storedRuns.ts'

export interface ConversationDeps {
  store: ResponseStore
  owner: string | undefined
}

/**
 * The turns a response answers: instructions, which are of this request alone, then what came before, then the input.
 * @throws ApiError 404 `previous_response_not_found`, 400 for a reference to an item that is not there
 */
export async function conversation(
  { input, previousId, instructions }: ConversationInput,
  deps: ConversationDeps,
): Promise<ChatMessage[]> {
  const history = await historyOf(previousId, deps)
  const placed: PlacedItem[] = history.map(item => ({ item, path: 'previous_response_id' }))
  for (const [i, item] of input.entries()) {
    const path = `input[${i}]`
    const isReference = item.type === 'item_reference'
    placed.push({ item: isReference ? await resolve(item, path, placed, deps) : item, path })
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
async function historyOf(
  previousId: string | null,
  { store, owner }: ConversationDeps,
): Promise<JsonObject[]> {
  const turns: JsonObject[][] = []
  for (let id = previousId; id !== null; ) {
    const stored = await store.get(id, owner)
    if (stored === undefined) throw notFound(id, previousId)
    if (!isOver(stored)) {
      throw invalidRequest('previous_response_id', `The response '${id}' is still in progress.`)
    }
    turns.push(itemsOf(stored))
    id = stored.response.previous_response_id
  }
  return turns.reverse().flat()
}

function itemsOf({ input, response }: StoredResponse): JsonObject[] {
  return [...input, ...(response.output as unknown as JsonObject[])]
}

async function resolve(
  { id }: JsonObject,
  path: string,
  known: PlacedItem[],
  { store, owner }: ConversationDeps,
): Promise<JsonObject> {
  const here = known.find(({ item }) => item.id === id)?.item
  if (here !== undefined) return here
  const responseId = responseOfItem(String(id))
  const stored = responseId === undefined ? undefined : await store.get(responseId, owner)
  const found = stored && itemsOf(stored).find(item => item.id === id)
  if (found !== undefined) return found
  throw invalidRequest(`${path}.id`, `There is no item with the id '${id}'.`)
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
