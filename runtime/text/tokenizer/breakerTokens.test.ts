import { expect, test } from 'vitest'
import { breakerTokens } from './breakerTokens.ts'
import { TokenPiecesBuilder } from './tokenPieces.ts'

const words = ['a', '\n', ' b\n\n', ':x', 'x', 'a:', '*']
const builder = new TokenPiecesBuilder(words.length)
for (const word of words) builder.addText(word, 0)
const tokenizer = { pieces: builder.build('keep'), encode: () => Int32Array.of(0, 4) }

test('a text is looked for once, and found in a token once', () => {
  const numTokens = 2000
  const long = new TokenPiecesBuilder(numTokens)
  for (let id = 0; id < numTokens; id++) long.addText('e'.repeat(500), 0)
  const many = { ...tokenizer, pieces: long.build('keep') }
  expect(breakerTokens(many, Array(10_000).fill('e'))).toHaveLength(numTokens)
})

test.each([
  [['\n'], [1, 2]],
  [
    ['\n', ':', '*'],
    [1, 2, 3, 5, 6],
  ],
  // "x" and "a:" lie side by side in memory.
  [['xa'], [4]],
  [[], []],
])('tokens that hold one of %j', (texts, ids) => {
  expect([...breakerTokens(tokenizer, texts)]).toEqual(ids)
})
