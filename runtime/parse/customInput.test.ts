import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CustomInput } from './customInput.ts'

function read(json: string, pieces = [...json]): string {
  const input = new CustomInput()
  return pieces.map(piece => input.push(piece)).join('')
}

test('any text comes out as it went in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat({ max: 3 }), (text, indent) => {
      const json = JSON.stringify({ input: text }, null, indent)
      expect(read(json)).toBe(text)
      expect(read(json, [json])).toBe(text)
      expect(read(json, json.split(''))).toBe(text)
    }),
  )
})

test.each([
  ['{"input": "\\u00e9\\ud83d\\ude42\\/\\x"}', 'é🙂/\\x'],
  ['{"input": "cut sho\\u00', 'cut sho'],
  ['{"text": "a"}', '{"text": "a"}'],
  ['{"input": 1}', '{"input": 1}'],
  ['ls', 'ls'],
])('%s', (json, text) => {
  expect(read(json)).toBe(text)
})
