import { expect, test } from 'vitest'
import { jsonErrorPosition } from './jsonErrorPosition.ts'

test.each([
  ['', 0],
  ['   ', 3],
  ['hello', 0],
  ['{"a": [1,}', 9],
  ['{"a": 1', 7],
  ['{"a" 1}', 5],
  ['{"a": 1,}', 8],
  ['{a: 1}', 1],
  ['[1 2]', 3],
  ['[1]]', 3],
  ['{"a": 01}', 7],
  ['"a\nb"', 2],
  ['"a\\x"', 2],
  ['"\\u12"', 1],
  ['{"a": tru}', 6],
  ["{'a': 1}", 1],
  ['{"a": {"b": [true, null, -1.5e3, "\\u00e9"]} x', 44],
])('%j breaks at %i', (text, position) => {
  expect(() => JSON.parse(text)).toThrow()
  expect(jsonErrorPosition(text)).toBe(position)
})

test('it accepts what the parser accepts', () => {
  for (const text of ['{}', ' [ ] ', '[{"a": {}}, [], "x\\n\\"", -0, 1e9, false]', '"é"']) {
    JSON.parse(text)
    expect(jsonErrorPosition(text)).toBe(text.length)
  }
})

test('long and deep texts take no stack', () => {
  const depth = 1_000_000
  expect(jsonErrorPosition('['.repeat(depth))).toBe(depth)
  expect(jsonErrorPosition(`"${'a'.repeat(depth)}`)).toBe(depth + 1)
})
