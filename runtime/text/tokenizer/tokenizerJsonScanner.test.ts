import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileFormatError } from '../../weights/fileFormatError.ts'
import { JsonReader } from './jsonReader.ts'
import { emptyTokenizerConfig } from './tokenizerConfig.ts'
import { tokenizerFromJson } from './tokenizerJson.ts'
import { scanTokenizerJson, type TextList } from './tokenizerJsonScanner.ts'

const scan = (text: string) => scanTokenizerJson(new JsonReader('t.json'), Buffer.from(text))

function texts({ bytes, offsets }: TextList): string[] {
  return Array.from({ length: offsets.length - 1 }, (_, i) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      bytes.subarray(offsets[i], offsets[i + 1]),
    ),
  )
}

describe('scanTokenizerJson', () => {
  const vocab = { 'a"b': 0, '\\': 1, 'é🙂\n\u0001': 2, '': 3, '{"x": [1, "]"]}': 4, '\ufeff': 5 }
  const merges = [
    ['a', 'b c'],
    ['\u2581', ' '],
  ]
  const rest = { version: '1.0', list: [1, { vocab: { no: 1 } }], text: '"merges": [' }

  test.each([
    ['compact', (value: unknown) => JSON.stringify(value)],
    ['indented', (value: unknown) => JSON.stringify(value, null, '\t')],
    [
      'escaped',
      (value: unknown) =>
        JSON.stringify(value).replace(
          /[^ -~]/g,
          char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
        ),
    ],
  ])('%s, tables in either order', (_, write) => {
    for (const model of [
      { type: 'BPE', vocab, merges, unk_token: null },
      { merges, type: 'BPE', vocab, unk_token: null },
    ]) {
      const scanned = scan(write({ ...rest, model, last: true }))
      expect(scanned.root).toEqual({
        ...rest,
        model: { type: 'BPE', vocab: {}, merges: [], unk_token: null },
        last: true,
      })
      expect(scanned.vocab && texts(scanned.vocab.texts)).toEqual(Object.keys(vocab))
      expect([...(scanned.vocab?.ids ?? [])]).toEqual(Object.values(vocab))
      expect(scanned.merges && texts(scanned.merges)).toEqual(merges.flat())
    }
  })

  test('reads merges written as one text', () => {
    const scanned = scan('{"model": {"merges": ["a b", "c d"], "vocab": {}}}')
    expect(scanned.merges && texts(scanned.merges)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('leaves other documents to JSON.parse', () => {
    expect(scan('[1, 2]').root).toEqual([1, 2])
    expect(scan('{"model": 5}').root).toEqual({ model: 5 })
    expect(scan('{"model": {"vocab": [["a", -1.5]]}}').root).toEqual({
      model: { vocab: [['a', -1.5]] },
    })
  })

  test.each([
    '',
    '{',
    '{"model"',
    '{"model": {"vocab": {"a": 1',
    '{"model": {"vocab": {"a" 1}}}',
    '{"model": {"vocab": {"a": 1}, "merges": ["a b"',
    '{"model": {"vocab": {"\\x": 1}}}',
    '{"model": {"vocab": {"\\u12"',
    '{"a": 1} trailing',
    '{"a": [1}',
  ])('%s is not JSON', text => {
    expect(() => scan(text)).toThrow(FileFormatError)
  })
})

describe('fuzz', () => {
  test('a mutated tokenizer.json loads or is a FileFormatError', () => {
    const golden = join(import.meta.dirname, '../../../test/goldens/gemma3/tokenizer.json')
    const original = readFileSync(golden)
    let state = 12_345
    const next = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (state >>> 4) % below
    }
    const alphabet = Buffer.from('"\\{}[]:,0129-eu \n\u00e9')
    for (let round = 0; round < 300; round++) {
      let bytes = Buffer.from(original)
      if (round % 3 === 0) bytes = bytes.subarray(0, next(bytes.length))
      else {
        for (let i = 0; i <= next(3); i++) {
          bytes[next(bytes.length)] = alphabet[next(alphabet.length)] ?? 0
        }
      }
      try {
        tokenizerFromJson('t.json', bytes, emptyTokenizerConfig).encode('Hello <bos> 世界', {
          addSpecialTokens: true,
        })
      } catch (error) {
        expect(error).toBeInstanceOf(FileFormatError)
      }
    }
  })
})
