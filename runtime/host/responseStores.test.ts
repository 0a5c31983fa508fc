import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createMemoryResponseStore } from '../../edge/responseStore/memoryResponseStore.ts'
import type { ResponseStoreLimits } from '../../edge/responseStore/responseStoreLimits.ts'
import { responseRequest } from '../../edge/responses/responseRequest.ts'
import type { ResponseStore, StoredResponse } from '../../edge/responses/responseStore.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { openResponseStore } from './openResponseStore.ts'
import { SqliteResponseStore } from './sqliteResponseStore.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistralrs-responses-'))
afterAll(() => rmSync(folder, { recursive: true }))
let numFiles = 0
const newPath = () => join(folder, `${numFiles++}.sqlite`)

const stores: Record<string, (clock: () => number, limits: ResponseStoreLimits) => ResponseStore> =
  {
    memory: createMemoryResponseStore,
    SQLite: (clock, limits) => new SqliteResponseStore(newPath(), clock, limits),
  }
const roomy = { maxResponses: 1000, maxBytes: 1e9, maxAgeMs: 1e9 }

function stored(id: string, owner?: string, text = 'hi'): StoredResponse {
  const identity = { id, created: 1, canStore: true }
  const { head, input } = responseRequest({ input: text }, [scriptedModel], identity)
  return {
    response: head,
    input,
    include: [],
    detached: false,
    ...(owner !== undefined && { owner }),
  }
}

describe.each(Object.entries(stores))('%s', (_, create) => {
  test('keeps what is put, the last of an id', async () => {
    const store = create(Date.now, roomy)
    await store.put(stored('a'))
    const changed = stored('a', undefined, 'ü 😀')
    await store.put(changed)
    expect(await store.get('a', undefined)).toEqual(changed)
    expect(await store.get('b', undefined)).toBeUndefined()
    expect(await store.delete('a', undefined)).toBe(true)
    expect(await store.delete('a', undefined)).toBe(false)
    expect(await store.get('a', undefined)).toBeUndefined()
  })

  test('an owner has what is theirs', async () => {
    const store = create(Date.now, roomy)
    await store.put(stored('a', 'me'))
    await store.put(stored('b'))
    expect(await store.get('a', 'you')).toBeUndefined()
    expect(await store.get('a', undefined)).toBeUndefined()
    expect(await store.get('b', 'me')).toBeUndefined()
    expect(await store.delete('a', 'you')).toBe(false)
    expect(await store.get('a', 'me')).toBeDefined()
  })

  test('forgets what was not used for long', async () => {
    let now = 0
    const hour = 3_600_000
    const store = create(() => now, { ...roomy, maxAgeMs: 10 * hour })
    await store.put(stored('a'))
    await store.put(stored('b'))
    now = 8 * hour
    expect(await store.get('a', undefined)).toBeDefined()
    now = 12 * hour
    expect(await store.get('b', undefined)).toBeUndefined()
    expect(await store.get('a', undefined)).toBeDefined()
  })

  test('keeps so many, and so much', async () => {
    const size = JSON.stringify(stored('0')).length
    for (const limits of [
      { ...roomy, maxResponses: 10 },
      { ...roomy, maxBytes: 10.5 * (size + 10) },
    ]) {
      let now = 0
      const store = create(() => now++, limits)
      for (let i = 0; i < 200; i++) await store.put(stored(`${i}`))
      const kept: number[] = []
      for (let i = 0; i < 200; i++) if (await store.get(`${i}`, undefined)) kept.push(i)
      expect(kept).toEqual([190, 191, 192, 193, 194, 195, 196, 197, 198, 199])
    }
  })

  test('the owner who has the most makes room for the others', async () => {
    const size = JSON.stringify(stored('modest 0', 'modest')).length
    for (const limits of [
      { ...roomy, maxResponses: 10 },
      { ...roomy, maxBytes: 10.5 * size },
    ]) {
      let now = 0
      const store = create(() => now++, limits)
      for (let i = 0; i < 3; i++) await store.put(stored(`modest ${i}`, 'modest'))
      for (let i = 0; i < 100; i++) await store.put(stored(`greedy ${i}`, 'greedy'))
      for (let i = 0; i < 3; i++) expect(await store.get(`modest ${i}`, 'modest')).toBeDefined()
      expect(await store.get('greedy 99', 'greedy')).toBeDefined()
      expect(await store.get('greedy 80', 'greedy')).toBeUndefined()
    }
  })

  test('an owner who had the most makes room until that is another', async () => {
    let now = 0
    const store = create(() => now++, { ...roomy, maxBytes: 100_000 })
    for (let i = 0; i < 6; i++) await store.put(stored(`large ${i}`, 'first', 'x'.repeat(10_000)))
    for (let i = 0; i < 200; i++) await store.put(stored(`small ${i}`, 'then', 'x'.repeat(1000)))
    const kept = []
    for (let i = 0; i < 6; i++) kept.push((await store.get(`large ${i}`, 'first')) !== undefined)
    expect(kept).toEqual([false, false, true, true, true, true])
  })
})

test('a file survives a restart, and serves several at once', async () => {
  const path = newPath()
  const first = new SqliteResponseStore(path, Date.now)
  await first.put(stored('a'))
  const second = new SqliteResponseStore(path, Date.now)
  await second.put(stored('b'))
  expect(await first.get('b', undefined)).toBeDefined()
  first.close()
  second.close()
  const third = new SqliteResponseStore(path, Date.now)
  expect(await third.get('a', undefined)).toEqual(stored('a'))
  third.close()
})

test('what cannot be a store is said at the start', async () => {
  const path = newPath()
  writeFileSync(
    path,
    'not a database, and long enough to be read as the header of one: '.repeat(20),
  )
  await expect(openResponseStore(path, () => {})).rejects.toThrow(/--response-store/)
  expect(await openResponseStore('off', () => {})).toBe('off')
})

test('a file of responses is for its owner only, in a folder that others may read too', async () => {
  const path = newPath()
  const store = await openResponseStore(path, () => {})
  if (!(store instanceof SqliteResponseStore)) throw new Error('it is a file')
  await store.put(stored('a'))
  const files = readdirSync(folder).filter(name => join(folder, name).startsWith(path))
  expect(files.length).toBeGreaterThan(1)
  for (const name of files) expect(statSync(join(folder, name)).mode & 0o077).toBe(0)
  store.close()
})
