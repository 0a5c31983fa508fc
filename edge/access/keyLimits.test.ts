import { beforeEach, describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { duration, type KeyLimitOptions, KeyLimits } from './keyLimits.ts'

let nowMs = 0
beforeEach(() => {
  nowMs = 0
})
const limits = (options: KeyLimitOptions) => new KeyLimits(options, () => nowMs)

/** @returns milliseconds to wait, 0 when the request may begin */
function begin(key: KeyLimits, atMs: number, numRequests: 0 | 1 = 1): number {
  nowMs = atMs
  try {
    key.begin('req', numRequests)
    return 0
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    expect(error.data).toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    return error.data.retryAfterMs ?? Number.NaN
  }
}

describe('requests', () => {
  test('a minute of them at once, then as they come back', () => {
    const key = limits({ requestsPerMinute: 3 })
    expect([0, 0, 0].map(now => begin(key, now))).toEqual([0, 0, 0])
    expect(begin(key, 0)).toBe(20_000)
    expect(begin(key, 5000)).toBe(15_000)
    expect(begin(key, 20_000)).toBe(0)
    expect(begin(key, 20_000)).toBe(20_000)
  })

  test('no more are saved up than a minute has', () => {
    const key = limits({ requestsPerMinute: 2 })
    const hour = 3_600_000
    expect([0, 0].map(() => begin(key, hour))).toEqual([0, 0])
    expect(begin(key, hour)).toBe(30_000)
  })

  test('a clock that is set back gives nothing and takes nothing', () => {
    const key = limits({ requestsPerMinute: 1 })
    expect(begin(key, 100_000)).toBe(0)
    expect(begin(key, 0)).toBe(60_000)
    expect(begin(key, 60_000)).toBe(0)
  })

  test('one that is tried again counts once', () => {
    const key = limits({ requestsPerMinute: 1 })
    expect([begin(key, 0), begin(key, 0, 0), begin(key, 0)]).toEqual([0, 0, 60_000])
  })

  test('what is refused does not count', () => {
    const key = limits({ requestsPerMinute: 1, tokensPerMinute: 60 })
    key.spendTokens(60)
    for (let i = 0; i < 5; i++) expect(begin(key, 0)).toBe(1000)
    expect(begin(key, 1000)).toBe(0)
  })
})

describe('tokens', () => {
  test('an answer may take more than was left, and the next request waits for it', () => {
    const key = limits({ tokensPerMinute: 600 })
    expect(begin(key, 0)).toBe(0)
    key.spendTokens(1200)
    expect(begin(key, 0)).toBe(60_100)
    expect(begin(key, 60_100)).toBe(0)
  })

  test('what was counted too much is given back', () => {
    const key = limits({ tokensPerMinute: 60 })
    key.spendTokens(60)
    key.spendTokens(-30)
    expect(key.headers()['x-ratelimit-remaining-tokens']).toBe('30')
    key.spendTokens(-1000)
    expect(key.headers()['x-ratelimit-remaining-tokens']).toBe('60')
  })
})

test('so many at once', () => {
  const key = limits({ maxConcurrent: 2 })
  const first = key.begin('req', 1)
  expect(begin(key, 0)).toBe(0)
  expect(begin(key, 0)).toBe(1000)
  first.end()
  first.end()
  expect(begin(key, 0)).toBe(0)
  expect(begin(key, 0)).toBe(1000)
})

test('headers tell of the limits that there are', () => {
  const key = limits({ requestsPerMinute: 6, tokensPerMinute: 1000 })
  begin(key, 0)
  key.spendTokens(1500)
  expect(key.headers()).toEqual({
    'x-ratelimit-limit-requests': '6',
    'x-ratelimit-remaining-requests': '5',
    'x-ratelimit-reset-requests': '10s',
    'x-ratelimit-limit-tokens': '1000',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '1m30s',
  })
  expect(limits({ maxConcurrent: 1 }).headers()).toEqual({})
})

test.each([
  [0, '0ms'],
  [120.2, '121ms'],
  [1000, '1s'],
  [1500, '1.5s'],
  [59_999, '59.999s'],
  [60_000, '1m0s'],
  [360_000, '6m0s'],
  [3_599_500, '1h0m0s'],
  [3_725_000, '1h2m5s'],
])('%d ms is %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})
