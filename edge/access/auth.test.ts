import { expect, test } from 'vitest'
import { createAuth, type KnownKeys } from './auth.ts'
import { keyDigest } from './keyEntries.ts'

async function names(keys: Partial<KnownKeys>, headers: Record<string, string>) {
  const authenticate = createAuth(keys, Date.now)
  const client = await authenticate?.(new Request('http://x', { headers })).catch(
    ({ data }) => data.status,
  )
  return client?.name ?? client
}
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

test('without keys there is nobody to find', () => {
  expect(createAuth(undefined, Date.now)).toBeUndefined()
  expect(createAuth({ apiKeys: [], entries: [] }, Date.now)).toBeUndefined()
})

test.each<[string, Record<string, string>, string | number]>([
  ['a bearer token', bearer('plain'), 'key-a116c9ed'],
  ['in any case, with spaces', { authorization: 'bearer   plain ' }, 'key-a116c9ed'],
  ["Anthropic's header", { 'x-api-key': 'hashed' }, 'ada'],
  ['both, the token counts', { ...bearer('plain'), 'x-api-key': 'hashed' }, 'key-a116c9ed'],
  ['a token that is empty, and a key', { ...bearer(' '), 'x-api-key': 'hashed' }, 'ada'],
  ['another scheme, and a key', { authorization: 'Basic plain', 'x-api-key': 'hashed' }, 'ada'],
  ['a wrong one', bearer('plain2'), 401],
  ['an empty one', { 'x-api-key': '' }, 401],
  ['none', {}, 401],
])('%s', async (_, headers, found) => {
  const entries = [{ name: 'ada', sha256: await keyDigest('hashed') }]
  // A variable that was not set.
  expect(await names({ apiKeys: ['plain', ''], entries }, headers)).toBe(found)
})

test('of a key in both lists the limits hold', async () => {
  const entries = [{ name: 'ada', sha256: await keyDigest('twice') }]
  expect(await names({ apiKeys: ['twice'], entries }, bearer('twice'))).toBe('ada')
})
