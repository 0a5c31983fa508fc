import { expect, test } from 'vitest'
import { summarize } from './summarize.ts'

test('percentiles interpolate, the deviation is that of a sample', () => {
  const summary = summarize([4, 1, 3, 2, 10])
  expect(summary).toMatchObject({ mean: 4, min: 1, p50: 3, max: 10 })
  expect(summary.stddev).toBeCloseTo(Math.sqrt(50 / 4))
  expect(summary.p90).toBeCloseTo(7.6)
})

test('a single value', () => {
  const { mean, stddev, min, p99, max } = summarize([5])
  expect([mean, stddev, min, p99, max]).toEqual([5, 0, 5, 5, 5])
})
