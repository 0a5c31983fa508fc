import { expect, test } from 'vitest'
import { tooDeepAt } from './jsonDepth.ts'

test.each<[string, number]>([
  ['', -1],
  ['[[1]]', -1],
  ['[[[', 2],
  ['{"a":{"b":{', 10],
  ['[{"a":[]}]', 6],
  ['[[],[],[[', 8],
  ['"[[[["', -1],
  ['["[[[", [[', 9],
  ['["\\"[[[[", []]', -1],
  ['["\\\\", [[', 8],
  [']]]][[[', -1],
  ['"[[[', -1],
  ['"\\', -1],
])('%s with two levels: %i', (text, at) => {
  expect(tooDeepAt(text, 2)).toBe(at)
})
