import { describe, expect, it } from 'vitest'
import { availableMemory, planKvBudget } from './kvBudget.ts'
import { longestSequence, pagesForLength } from './pages.ts'

const MiB = 2 ** 20
const base = {
  groups: [{ pageTokens: 32, window: null }],
  pageBytes: MiB,
  maxSequences: 4,
  maxModelLen: 1024,
  weightBytes: 100 * MiB,
}

describe('planKvBudget', () => {
  it('takes what all sequences need when there is memory', () => {
    expect(planKvBudget({ ...base, availableBytes: 10_000 * MiB })).toEqual({
      numPages: 4 * 33,
      bytes: 4 * 33 * MiB,
      maxModelLen: 1024,
      fullLengthSequences: 4,
      limitedBy: 'need',
    })
  })

  it('takes half of what the weights leave', () => {
    expect(planKvBudget({ ...base, availableBytes: 140 * MiB })).toMatchObject({
      numPages: 20,
      maxModelLen: 640,
      limitedBy: 'memory',
    })
  })

  it('takes what the user asks for', () => {
    expect(planKvBudget({ ...base, availableBytes: 0, kvBytes: 64 * MiB })).toMatchObject({
      numPages: 64,
      maxModelLen: 1024,
      fullLengthSequences: 2,
      limitedBy: 'option',
    })
  })

  it('takes another share when told so', () => {
    const options = { ...base, availableBytes: 200 * MiB }
    const half = planKvBudget(options)
    const most = planKvBudget({ ...options, memoryShare: 0.9 })
    expect(half.limitedBy).toBe('memory')
    expect(most.numPages).toBeGreaterThan(half.numPages)
  })

  it('refuses, with numbers, when not even a short context fits', () => {
    expect(() => planKvBudget({ ...base, availableBytes: 110 * MiB })).toThrow(
      'a KV cache for 256 tokens needs 8 MiB, more than 50 % of the 10 MiB left beside the weights',
    )
  })

  it('finds memory on this machine', () => {
    expect(availableMemory()).toBeGreaterThan(64 * MiB)
  })
})

describe('pages a sequence needs', () => {
  it.each([
    { window: null, length: 100, pages: 7 },
    { window: 16, length: 100, pages: 2 },
    { window: 17, length: 100, pages: 2 },
    { window: 18, length: 100, pages: 3 },
    { window: 64, length: 20, pages: 2 },
  ])('$length tokens, window $window', ({ window, length, pages }) => {
    expect(pagesForLength([{ pageTokens: 16, window }], length)).toBe(pages)
  })

  it('and the longest that fits', () => {
    const groups = [
      { pageTokens: 16, window: null },
      { pageTokens: 32, window: 64 },
    ]
    expect(longestSequence(groups, 10, 1000)).toBe(7 * 16)
    expect(longestSequence(groups, 10, 50)).toBe(50)
    expect(longestSequence(groups, 1, 50)).toBe(0)
  })
})
