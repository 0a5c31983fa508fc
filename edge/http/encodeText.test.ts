import { expect, test } from 'vitest'
import { encodeText } from './encodeText.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

test('pieces of any size come out as they went in, and stay so', () => {
  const texts = [
    '',
    'a',
    '\u00e9\u4e2d\ud83d\ude00',
    'x'.repeat(1365),
    '\u4e2d'.repeat(1366),
    'y'.repeat(9000),
  ]
  const sent = Array.from({ length: 40 }, (_, i) => `${texts[i % texts.length]}${i}`)
  const pieces = sent.map(encodeText)
  expect(pieces.map(piece => utf8.decode(piece))).toEqual(sent)
})
