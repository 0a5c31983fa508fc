import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileFormatError } from '../../weights/fileFormatError.ts'
import { emptyTokenizerConfig, parseTokenizerConfig } from './tokenizerConfig.ts'
import { tokenizerFromJson } from './tokenizerJson.ts'

const golden = join(import.meta.dirname, '../../../test/goldens')
const llama = readFileSync(join(golden, 'llama/tokenizer.json'), 'utf8')

type Json = { [key: string]: unknown }

/** The Llama golden with something changed. */
function changed(change: (root: Json, model: Json) => void): string {
  const root = JSON.parse(llama)
  change(root, root.model)
  return JSON.stringify(root)
}

function load(text: string) {
  return tokenizerFromJson('dir/tokenizer.json', Buffer.from(text), emptyTokenizerConfig)
}

describe('broken files', () => {
  const cases: [string, () => string, RegExp][] = [
    ['not JSON', () => llama.slice(0, 1000), /not valid JSON/],
    ['another JSON', () => '[1, 2]', /the file is not an object/],
    ['no model', () => '{}', /model is not an object/],
    ['an empty vocabulary', () => changed((_, m) => (m.vocab = {})), /model.vocab is empty/],
    ['a vocabulary of lists', () => changed((_, m) => (m.vocab = { a: [1] })), /impossible id/],
    ['a huge id', () => changed((_, m) => (m.vocab = { a: 2 ** 31 })), /impossible id 2147483648/],
    ['a negative id', () => changed((_, m) => (m.vocab = { a: -1 })), /impossible id -1/],
    [
      'a huge id of an added token',
      () => changed(r => (r.added_tokens = [{ id: 1e15, content: 'x' }])),
      /impossible id/,
    ],
    ['merges of numbers', () => changed((_, m) => (m.merges = [5])), /merges\[0\] is not a pair/],
    [
      'merges of unknown tokens',
      () => changed((_, m) => (m.merges = [['a', 'no such token']])),
      /merges\[0\] names unknown token "no such token"/,
    ],
    [
      'merges that make unknown tokens',
      () => changed((_, m) => (m.merges = ['q q'])),
      /merges\[0\] makes unknown token "qq"/,
    ],
    ['an unknown model', () => changed((_, m) => (m.type = 'Magic')), /"Magic" is not supported/],
    [
      'an unknown token for unk',
      () => changed((_, m) => (m.unk_token = 'nope')),
      /unk_token "nope"/,
    ],
    [
      'an unknown pre-tokenizer',
      () => changed(r => (r.pre_tokenizer = { type: 'Oracle' })),
      /pre-tokenizer "Oracle" is not supported/,
    ],
    [
      'an unknown normalizer',
      () => changed(r => (r.normalizer = { type: 'Precompiled' })),
      /normalizer "Precompiled" is not supported/,
    ],
    [
      'an unknown decoder',
      () => changed(r => (r.decoder = { type: 'CTC' })),
      /decoder "CTC" is not supported/,
    ],
    [
      'a template naming an unknown special token',
      () =>
        changed(r => {
          const single = [{ SpecialToken: { id: '<x>', type_id: 0 } }]
          r.post_processor = { type: 'TemplateProcessing', single, special_tokens: {} }
        }),
      /special_tokens\["<x>"\] is not an object/,
    ],
    [
      'a post-processor id beyond the vocabulary',
      () =>
        changed(
          r => (r.post_processor = { type: 'BertProcessing', cls: ['a', 9999], sep: ['b', 1] }),
        ),
      /9999, beyond the vocabulary/,
    ],
    [
      'a pattern that backtracks exponentially',
      () =>
        changed(r => {
          const pattern = { Regex: '(\\w+\\s?)*$' }
          r.pre_tokenizer = { type: 'Split', pattern, behavior: 'Isolated', invert: false }
        }),
      /backtracks exponentially/,
    ],
    [
      'a pattern with an unknown property',
      () =>
        changed(r => {
          const pattern = { Regex: '\\p{Klingon}+' }
          r.pre_tokenizer = { type: 'Split', pattern, behavior: 'Isolated', invert: false }
        }),
      /unknown property "Klingon"/,
    ],
    [
      'endless nesting',
      () =>
        changed(r => {
          let step: Json = { type: 'Digits' }
          for (let i = 0; i < 500; i++) step = { type: 'Sequence', pretokenizers: [step] }
          r.pre_tokenizer = step
        }),
      /nested too deeply/,
    ],
  ]
  test.each(cases)('%s', (_, build, reason) => {
    let error: unknown
    try {
      load(build())
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(FileFormatError)
    expect((error as FileFormatError).path).toBe('dir/tokenizer.json')
    expect((error as FileFormatError).reason).toMatch(reason)
  })

  test('tokenizer_config.json', () => {
    expect(() => parseTokenizerConfig('c.json', '{"bos_token": 5}')).toThrow(FileFormatError)
    expect(() => parseTokenizerConfig('c.json', '{"bos')).toThrow(/c.json: not valid JSON/)
    expect(() => parseTokenizerConfig('c.json', '{"chat_template": [{"name": 1}]}')).toThrow(
      /chat_template\[\].name is not a string/,
    )
    const config = parseTokenizerConfig(
      'c.json',
      '{"bos_token": {"content": "<s>"}, "chat_template": [{"name": "default", "template": "x"}]}',
    )
    expect(config.bosToken).toBe('<s>')
    expect(config.chatTemplate).toEqual(new Map([['default', 'x']]))
  })
})

describe('speed', () => {
  const long: [string, string][] = [
    ['one letter', 'a'.repeat(100_000)],
    ['mixed letters', Array.from({ length: 100_000 }, (_, i) => 'etaoinshr'[(i * i) % 9]).join('')],
    ['spaces', ' '.repeat(100_000)],
    ['astral', '😀'.repeat(25_000)],
  ]
  test.each(['llama', 'mistral', 'gemma3'])('100 KB words, %s', name => {
    const tokenizer = load(readFileSync(join(golden, name, 'tokenizer.json'), 'utf8'))
    for (const [, text] of long) {
      const start = process.threadCpuUsage()
      const ids = tokenizer.encode(text, { addSpecialTokens: false })
      expect(process.threadCpuUsage(start).user / 1000).toBeLessThan(900)
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text)
    }
  })
})

describe('special tokens', () => {
  const tokenizer = load(llama)

  test('stay text when not parsed', () => {
    const id = tokenizer.tokenId('<|eot_id|>') ?? -1
    const encode = (parseSpecial: boolean) => [
      ...tokenizer.encode('a<|eot_id|>', { addSpecialTokens: false, parseSpecial }),
    ]
    expect(encode(true)).toContain(id)
    expect(encode(false)).not.toContain(id)
    expect(tokenizer.decode(encode(false), { skipSpecialTokens: true })).toBe('a<|eot_id|>')
    expect(tokenizer.isSpecial(id)).toBe(true)
    expect(new TextDecoder().decode(tokenizer.tokenBytes(id))).toBe('<|eot_id|>')
  })

  test('take neighbouring white space along, and only whole words, when told to', () => {
    const token = (content: string, flags: Json) => ({ id: 700, content, special: false, ...flags })
    const withToken = (content: string, flags: Json) =>
      load(changed(r => (r.added_tokens as unknown[]).push(token(content, flags))))
    const strip = withToken('<mask>', { lstrip: true, rstrip: true })
    const ids = strip.encode('a  <mask>  b', { addSpecialTokens: false })
    expect(strip.decode(ids, { skipSpecialTokens: false })).toBe('a<mask>b')
    const word = withToken('cat', { single_word: true })
    const has = (text: string) => word.encode(text, { addSpecialTokens: false }).includes(700)
    expect([has('a cat!'), has('concat'), has('cats'), has('cat')]).toEqual([
      true,
      false,
      false,
      true,
    ])
  })
})

describe('Unigram', () => {
  test('takes the best-scored segmentation, unknown characters as bytes or one unknown token', () => {
    const pieces: [string, number][] = [
      ['<unk>', 0],
      ['▁', -3],
      ['▁he', -2],
      ['llo', -2.5],
      ['l', -4],
      ['o', -4],
      ['▁hello', -4.4],
      ['he', -3],
    ]
    const build = (extra: [string, number][], byteFallback: boolean) =>
      load(
        JSON.stringify({
          model: {
            type: 'Unigram',
            unk_id: 0,
            vocab: [...pieces, ...extra],
            byte_fallback: byteFallback,
          },
          pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
          decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
        }),
      )
    const plain = build([], false)
    expect([...plain.encode('hello hell', { addSpecialTokens: false })]).toEqual([6, 2, 4, 4])
    expect([...plain.encode('héé', { addSpecialTokens: false })]).toEqual([1, 0])
    expect(plain.decode([6, 2, 4, 4], { skipSpecialTokens: false })).toBe('hello hell')
    const bytes: [string, number][] = Array.from({ length: 256 }, (_, byte) => [
      `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
      -20,
    ])
    expect([...build(bytes, true).encode('é', { addSpecialTokens: false })]).toEqual([
      1,
      8 + 0xc3,
      8 + 0xa9,
    ])
  })
})
