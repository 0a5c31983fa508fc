import { expect, test } from 'vitest'
import type { StoredResponse } from '../responses/responseStore.ts'
import { createDurableResponseStore } from './durableResponseStore.ts'
import { type ObjectStorage, StoredResponseObject } from './storedResponseObject.ts'

const MAX_VALUE_BYTES = 2 * 2 ** 20

/** A namespace whose objects keep to the limits of the real ones. */
function fakeNamespace() {
  const objects = new Map<string, { object: StoredResponseObject; values: Map<string, unknown> }>()
  const open = (name: string) => {
    const values = new Map<string, unknown>()
    const storage: ObjectStorage = {
      get: async keys =>
        new Map(keys.flatMap(key => (values.has(key) ? [[key, values.get(key)]] : []))),
      async put(entries) {
        for (const [key, value] of Object.entries(entries)) {
          const bytes = new TextEncoder().encode(JSON.stringify(value)).length
          if (bytes > MAX_VALUE_BYTES) throw new Error(`a value of ${bytes} bytes`)
          values.set(key, value)
        }
      },
      deleteAll: async () => values.clear(),
      setAlarm: async () => {},
    }
    const opened = { object: new StoredResponseObject({ storage }), values }
    objects.set(name, opened)
    return opened
  }
  return {
    objects,
    idFromName: (name: string) => name,
    get: (id: unknown) => ({
      fetch: (url: string, init?: RequestInit) => {
        const { object } = objects.get(String(id)) ?? open(String(id))
        return object.fetch(new Request(url, init))
      },
    }),
  }
}

const stored = (text: string, owner?: string) =>
  ({
    response: { id: 'resp_a', output: [{ text }] },
    input: [],
    include: [],
    detached: false,
    ...(owner !== undefined && { owner }),
  }) as unknown as StoredResponse

test('keeps long responses whole, the last of an id', async () => {
  const store = createDurableResponseStore(fakeNamespace())
  await store.put(stored('😀語x'.repeat(2_000_000)))
  const second = stored('語'.repeat(1_700_001))
  await store.put(second)
  expect(await store.get('resp_a', undefined)).toEqual(second)
  expect(await store.get('resp_b', undefined)).toBeUndefined()
})

test('an owner has what is theirs, until it is deleted or its time is over', async () => {
  const namespace = fakeNamespace()
  const store = createDurableResponseStore(namespace)
  await store.put(stored('hi', 'me'))
  expect(await store.get('resp_a', 'you')).toBeUndefined()
  expect(await store.delete('resp_a', 'you')).toBe(false)
  expect(await store.get('resp_a', 'me')).toBeDefined()
  expect(await store.delete('resp_a', 'me')).toBe(true)
  expect(await store.get('resp_a', 'me')).toBeUndefined()
  await store.put(stored('hi'))
  await namespace.objects.get('resp_a')?.object.alarm()
  expect(namespace.objects.get('resp_a')?.values.size).toBe(0)
})
