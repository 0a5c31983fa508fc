import type { ResponseStore, StoredResponse } from '../responses/responseStore.ts'

/** The part of a Durable Object namespace that is needed. */
export interface ObjectNamespace {
  idFromName(name: string): unknown
  get(id: unknown): { fetch(url: string, init?: RequestInit): Promise<Response> }
}

/** Nobody resolves it: the request goes to the object. */
const ADDRESS = 'https://response/'

/** Responses in Durable Objects, one each: every isolate and place sees the same, at once. */
export function createDurableResponseStore(namespace: ObjectNamespace): ResponseStore {
  const ask = async (id: string, init?: RequestInit) => {
    const response = await namespace.get(namespace.idFromName(id)).fetch(ADDRESS, init)
    if (response.ok || response.status === 404) return response
    throw new Error(`a stored response answered with status ${response.status}`)
  }
  const get = async (id: string, owner: string | undefined) => {
    const response = await ask(id)
    if (response.status === 404) return undefined
    const stored = (await response.json()) as StoredResponse
    return stored.owner === owner ? stored : undefined
  }
  return {
    async put(stored) {
      await ask(stored.response.id, { method: 'PUT', body: JSON.stringify(stored) })
    },
    get,
    async delete(id, owner) {
      if ((await get(id, owner)) === undefined) return false
      return (await ask(id, { method: 'DELETE' })).ok
    },
  }
}
