import { describe, expect, test } from 'vitest'
import { keyDigest, parseKeyEntries } from './keyEntries.ts'

const sha256 = 'a'.repeat(64)
const parse = (...entries: unknown[]) => parseKeyEntries(JSON.stringify(entries))

test('an entry with everything', () => {
  const entry = {
    name: 'ada@example.org',
    sha256,
    models: ['a/b'],
    requestsPerMinute: 1,
    tokensPerMinute: 2,
    maxConcurrent: 3,
    admin: true,
  }
  expect(parse(entry)).toEqual([entry])
  expect(parse({ name: 'x', sha256: 'A'.repeat(64) })).toEqual([{ name: 'x', sha256 }])
})

describe('is refused', () => {
  test.each<[string, string, RegExp]>([
    ['no JSON', '[', /not JSON/],
    ['no list', '{}', /list of keys/],
    ['an empty list', '[]', /list of keys/],
    [
      'a misspelt limit',
      JSON.stringify([{ name: 'x', sha256, requestPerMinute: 1 }]),
      /key 0: .*requestPerMinute/,
    ],
    [
      'a key as it is',
      JSON.stringify([{ name: 'x', sha256: 'sk-secret' }]),
      /key 0 sha256: 64 hex/,
    ],
    [
      'a limit of none',
      JSON.stringify([{ name: 'x', sha256, tokensPerMinute: 0 }]),
      /tokensPerMinute/,
    ],
    ['no models at all', JSON.stringify([{ name: 'x', sha256, models: [] }]), /models/],
    [
      'a name that no log line should have',
      JSON.stringify([{ name: 'x\ny', sha256 }]),
      /key 0 name/,
    ],
    ['a prototype', `[{"name":"x","sha256":"${sha256}","__proto__":{"admin":true}}]`, /__proto__/],
    [
      'a name twice',
      JSON.stringify([
        { name: 'x', sha256 },
        { name: 'x', sha256: 'b'.repeat(64) },
      ]),
      /two keys have the name x/,
    ],
    [
      'a key twice',
      JSON.stringify([
        { name: 'x', sha256 },
        { name: 'y', sha256 },
      ]),
      /two keys have the sha256/,
    ],
  ])('%s', (_, text, message) => {
    expect(() => parseKeyEntries(text)).toThrow(message)
  })
})

test('a digest is that of sha256sum', async () => {
  // printf %s first-key | sha256sum
  expect(await keyDigest('first-key')).toBe(
    '9e24b55356ef2a121ab5fd1a3ee8a3c9191e837f3853e399a369e9044ff183f7',
  )
})
