import type { ResponseStore, StoredResponse } from '../responses/responseStore.ts'
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

/** Responses in memory; those not used for the longest time go first. @param clock unix milliseconds */
export function createMemoryResponseStore(
  clock: () => number,
  limits: ResponseStoreLimits = DEFAULT_LIMITS,
): ResponseStore {
  /** Least recently used first. */
  const entries = new Map<string, Entry>()
  let numBytes = 0

  const remove = (id: string) => {
    numBytes -= entries.get(id)?.json.length ?? 0
    entries.delete(id)
  }
  const makeRoom = () => {
    const oldestMs = clock() - limits.maxAgeMs
    for (const [id, { usedMs }] of entries) {
      const full = entries.size > limits.maxResponses || numBytes > limits.maxBytes
      if (!full && usedMs >= oldestMs) break
      remove(id)
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
      numBytes += json.length
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
