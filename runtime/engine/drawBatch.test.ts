import { expect, test } from 'vitest'
import type { TokenConstraint } from '../grammar/tokenConstraint.ts'
import { Sequence } from '../scheduler/sequence.ts'
import { prepareDraw } from './drawBatch.ts'
import { greedySlot } from './slotOptions.ts'

test.each([
  ['a mask is not made where tokens are forced', {}, new Set<number>(), ['forced']],
  [
    'it is where the request biases one of them',
    { biasIds: Int32Array.of(6) },
    new Set<number>(),
    ['forced', 'fill'],
  ],
  ['or may end with one', {}, new Set([5]), ['forced', 'fill']],
])('%s', async (_, bias, stopIds, expected) => {
  const prepared: string[] = []
  const constraint: TokenConstraint = {
    prepareForced: async () => void prepared.push('forced'),
    forced: () => [5, 6],
    prepareFill: async () => void prepared.push('fill'),
    fill: () => true,
    accept: () => true,
  }
  const sequence = new Sequence(
    {
      prompt: Int32Array.of(1),
      maxLength: 10,
      stopIds,
      slot: { ...greedySlot, ...bias },
      constraint,
      cacheSalt: '',
    },
    { priority: 0, arrival: 0, arrivedMs: 0 },
    [],
    'waiting',
  )
  await prepareDraw({ sampled: [sequence] })
  expect(prepared).toEqual(expected)
})
