import { describe, expect, test } from 'vitest'
import {
  byteLevelPreTokenizer,
  digitsPreTokenizer,
  metaspacePreTokenizer,
  punctuationPreTokenizer,
  type SplitBehavior,
  splitPreTokenizer,
  whitespacePreTokenizer,
  whitespaceSplitPreTokenizer,
} from './preTokenizer.ts'

describe('splitPreTokenizer', () => {
  // The table of Hugging Face tokenizers' documentation for SplitDelimiterBehavior.
  const behaviors: [SplitBehavior, string[]][] = [
    ['Removed', ['the', 'final', 'countdown']],
    ['Isolated', ['the', '-', 'final', '-', '-', 'countdown']],
    ['MergedWithPrevious', ['the-', 'final-', '-', 'countdown']],
    ['MergedWithNext', ['the', '-final', '-', '-countdown']],
    ['Contiguous', ['the', '-', 'final', '--', 'countdown']],
  ]
  test.each(behaviors)('%s', (behavior, expected) => {
    for (const pattern of [{ String: '-' }, { Regex: '-' }]) {
      expect(splitPreTokenizer(pattern, behavior)(['the-final--countdown'], true)).toEqual(expected)
    }
  })

  test('inverted', () => {
    const split = splitPreTokenizer({ Regex: '[a-z]+' }, 'Removed', true)
    expect(split(['ab, cd'], true)).toEqual(['ab', 'cd'])
  })

  test('at positions, without characters', () => {
    const split = splitPreTokenizer({ Regex: '(?=(?:\\d{3})+(?!\\d))' }, 'Isolated')
    expect(split(['1234567', '😀123'], true)).toEqual(['1', '234', '567', '😀', '123'])
  })
})

describe('the other splits', () => {
  test('ByteLevel', () => {
    expect(byteLevelPreTokenizer(true, true)(["it's 3 a.m.", ' x'], true)).toEqual([
      ' it',
      "'s",
      ' 3',
      ' a',
      '.',
      'm',
      '.',
      ' x',
    ])
    expect(byteLevelPreTokenizer(false, false)(['a b'], true)).toEqual(['a b'])
  })

  test('Metaspace', () => {
    const split = (scheme: 'always' | 'first' | 'never', isTextStart = true) =>
      metaspacePreTokenizer('▁', scheme, true)(['a  b'], isTextStart)
    expect(split('always')).toEqual(['▁a', '▁', '▁b'])
    expect(split('never')).toEqual(['a', '▁', '▁b'])
    expect(split('first')).toEqual(['▁a', '▁', '▁b'])
    expect(split('first', false)).toEqual(['a', '▁', '▁b'])
    expect(metaspacePreTokenizer('▁', 'always', false)(['a b'], true)).toEqual(['▁a▁b'])
  })

  test('Digits, Punctuation, Whitespace, WhitespaceSplit', () => {
    expect(digitsPreTokenizer(true)(['a12'], true)).toEqual(['a', '1', '2'])
    expect(digitsPreTokenizer(false)(['a12b'], true)).toEqual(['a', '12', 'b'])
    expect(punctuationPreTokenizer('Isolated')(['a!?b$'], true)).toEqual(['a', '!', '?', 'b', '$'])
    expect(whitespacePreTokenizer()(['hi there!!'], true)).toEqual(['hi', 'there', '!!'])
    expect(whitespaceSplitPreTokenizer()(['hi  there!!'], true)).toEqual(['hi', 'there!!'])
  })
})
