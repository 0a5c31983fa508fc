import { expect, test } from 'vitest'
import { LineSplitter } from './lineSplitter.ts'

const utf8 = new TextEncoder()
const text = '{"a":1}\n\nhé 😀\nlast'
const bytes = utf8.encode(text)

test('the same lines wherever the chunks are cut', () => {
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const splitter = new LineSplitter(100)
      const parts = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]
      const lines = parts.flatMap(part => splitter.push(part))
      expect(lines).toEqual(['{"a":1}', '', 'hé 😀'])
      expect(splitter.pendingBytes).toBe(4)
    }
  }
})

test('the limit counts bytes of one line, however it arrives', () => {
  for (const limit of [9, 10, 11]) {
    for (let cut = 0; cut <= 14; cut++) {
      const bytes = utf8.encode('ab\n0123456789\n')
      const push = () => {
        const splitter = new LineSplitter(limit)
        return [...splitter.push(bytes.slice(0, cut)), ...splitter.push(bytes.slice(cut))]
      }
      if (limit < 10) expect(push).toThrow(RangeError)
      else expect(push()).toEqual(['ab', '0123456789'])
    }
  }
})

test('a line that never ends is refused as soon as it is too long', () => {
  const splitter = new LineSplitter(10)
  expect(splitter.push(utf8.encode('01234'))).toEqual([])
  expect(splitter.push(utf8.encode('56789'))).toEqual([])
  expect(() => splitter.push(utf8.encode('x'))).toThrow(/10 bytes/)
})

test('bytes that are not UTF-8 are refused', () => {
  expect(() => new LineSplitter(10).push(Uint8Array.of(0xff, 0x0a))).toThrow(TypeError)
})
