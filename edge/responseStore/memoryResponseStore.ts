import type { ResponseStore, StoredResponse } from '../responses/responseStore.ts'
import { Holdings } from './holdings.ts'
import { MAX_RESPONSE_AGE_MS, type ResponseStoreLimits } from './responseStoreLimits.ts'

const DEFAULT_LIMITS: ResponseStoreLimits = {
  maxResponses: 10_000,
  maxBytes: 256 * 2 ** 20,
  maxAgeMs: MAX_RESPONSE_AGE_MS,
}

interface Entry {
  json: string
  owner: string | undefined
  usedMs: number
}

/**
 * Responses in memory. When they are too many, those go first that their owner has not used for the longest time, of the owner
 * who has the most. @param clock unix milliseconds
 */
export function createMemoryResponseStore(
  clock: () => number,
  limits: ResponseStoreLimits = DEFAULT_LIMITS,
): ResponseStore {
  /** Least recently used first. */
  const entries = new Map<string, Entry>()
  const holdings = new Holdings(limits)

  const remove = (id: string) => {
    const entry = entries.get(id)
    if (entry === undefined) return
    entries.delete(id)
    holdings.add(entry.owner, -1, -entry.json.length)
  }
  const makeRoom = () => {
    const oldestMs = clock() - limits.maxAgeMs
    for (const [id, { usedMs }] of entries) {
      if (usedMs >= oldestMs) break
      remove(id)
    }
    while (entries.size > limits.maxResponses || holdings.numBytes > limits.maxBytes) {
      const owner = holdings.ownerOfMost()
      for (const [id, entry] of entries) {
        if (entry.owner !== owner) continue
        remove(id)
        break
      }
    }
  }
  const find = (id: string, owner: string | undefined) => {
    const entry = entries.get(id)
    return entry?.owner === owner ? entry : undefined
  }

  return {
    async put(stored) {
      const { id } = stored.response
      const json = JSON.stringify(stored)
      remove(id)
      entries.set(id, { json, owner: stored.owner, usedMs: clock() })
      holdings.add(stored.owner, 1, json.length)
      makeRoom()
    },
    async get(id, owner) {
      makeRoom()
      const entry = find(id, owner)
      if (entry === undefined) return undefined
      entries.delete(id)
      entries.set(id, { ...entry, usedMs: clock() })
      return JSON.parse(entry.json) as StoredResponse
    },
    async delete(id, owner) {
      if (find(id, owner) === undefined) return false
      remove(id)
      return true
    },
  }
}
