import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GgufBuilder } from '../../../test/support/ggufBuilder.ts'
import { FileFormatError } from '../../weights/fileFormatError.ts'
import { readGguf } from '../../weights/gguf.ts'
import { tokenizerFromGguf } from './ggufTokenizer.ts'
import type { Tokenizer } from './tokenizer.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gguf-text-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function load(builder: GgufBuilder): Promise<Tokenizer> {
  const path = join(dir, 'x.gguf')
  await writeFile(path, builder.build())
  return tokenizerFromGguf(await readGguf(path))
}

const plain = { addSpecialTokens: false }

/** Token types: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
function sentencePiece(): GgufBuilder {
  const tokens = ['<unk>', '<s>', '</s>', '▁', 'a', 'b', '▁a', 'ab', '▁ab', 'é', '<tool>']
  const bytes = Array.from(
    { length: 256 },
    (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
  )
  const scores = [0, 0, 0, -1, -2, -3, -5, -4, -6, -7, 0]
  return new GgufBuilder()
    .string('tokenizer.ggml.model', 'llama')
    .strings('tokenizer.ggml.tokens', [...tokens, ...bytes])
    .floats('tokenizer.ggml.scores', [...scores, ...bytes.map(() => 0)])
    .int32s('tokenizer.ggml.token_type', [2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4, ...bytes.map(() => 6)])
}

function byteLevel(): GgufBuilder {
  return new GgufBuilder()
    .string('tokenizer.ggml.model', 'gpt2')
    .string('tokenizer.ggml.pre', 'gpt-2')
    .strings('tokenizer.ggml.tokens', [
      'a',
      'b',
      'Ġ',
      'ab',
      'Ġab',
      '<|im_end|>',
      '<|eom_id|>',
      '<think>',
    ])
    .int32s('tokenizer.ggml.token_type', [1, 1, 1, 1, 1, 3, 3, 3])
    .strings('tokenizer.ggml.merges', ['a b', 'Ġ ab'])
}

describe('tokenizer model llama', () => {
  test('merges by score, with a space in front and bytes for the unknown', async () => {
    const tokenizer = await load(sentencePiece())
    expect([...tokenizer.encode('ab', plain)]).toEqual([8])
    expect([...tokenizer.encode('ab ab', { addSpecialTokens: true })]).toEqual([1, 8, 8])
    expect([...tokenizer.encode('é€', plain)]).toEqual([3, 9, 11 + 0xe2, 11 + 0x82, 11 + 0xac])
    expect([...tokenizer.encode('a<tool>b', plain)]).toEqual([6, 10, 3, 5])
    expect(tokenizer.decode([8, 8], { skipSpecialTokens: false })).toBe('ab ab')
    expect([tokenizer.bosId, tokenizer.eosId, tokenizer.endIds]).toEqual([1, 2, [2]])
    expect([tokenizer.isSpecial(1), tokenizer.isSpecial(10)]).toEqual([true, false])
  })

  test('keeps the text as it is without add_space_prefix', async () => {
    const tokenizer = await load(sentencePiece().bool('tokenizer.ggml.add_space_prefix', false))
    expect([...tokenizer.encode('ab', plain)]).toEqual([7])
    expect(tokenizer.decode([8], { skipSpecialTokens: false })).toBe(' ab')
  })

  test('special tokens stay text when not parsed', async () => {
    const tokenizer = await load(sentencePiece())
    const ids = tokenizer.encode('<s><tool>', { ...plain, parseSpecial: false })
    expect([...ids].slice(-1)).toEqual([10])
    expect(ids).not.toContain(1)
  })
})

describe('tokenizer model gpt2', () => {
  test('merges by rank; knows what ends a turn; keeps tags visible', async () => {
    const tokenizer = await load(byteLevel().uint32('tokenizer.ggml.eos_token_id', 5))
    expect([...tokenizer.encode('ab ab', plain)]).toEqual([3, 4])
    expect(tokenizer.endIds).toEqual([5, 6])
    expect(tokenizer.decode([7, 3, 5], { skipSpecialTokens: true })).toBe('<think>ab')
    expect(tokenizer.tokenId('<think>')).toBe(7)
    expect(tokenizer.tokenId('Ġab')).toBe(4)
  })
})

describe('broken vocabularies', () => {
  const cases: [string, () => GgufBuilder, RegExp][] = [
    ['no model', () => new GgufBuilder(), /tokenizer.ggml.tokens is missing/],
    [
      'an unknown model',
      () =>
        new GgufBuilder()
          .strings('tokenizer.ggml.tokens', ['a'])
          .string('tokenizer.ggml.model', 'rwkv'),
      /tokenizer model "rwkv" is not supported/,
    ],
    [
      'an unknown pre-tokenizer',
      () =>
        new GgufBuilder()
          .strings('tokenizer.ggml.tokens', ['a'])
          .string('tokenizer.ggml.model', 'gpt2')
          .string('tokenizer.ggml.pre', 'martian'),
      /unknown pre-tokenizer "martian"/,
    ],
    [
      'types that do not fit the tokens',
      () =>
        new GgufBuilder()
          .strings('tokenizer.ggml.tokens', ['a'])
          .int32s('tokenizer.ggml.token_type', [1, 1]),
      /token_type is not one int32 for each token/,
    ],
    [
      'missing scores',
      () =>
        new GgufBuilder()
          .string('tokenizer.ggml.model', 'llama')
          .bool('tokenizer.ggml.add_bos_token', false)
          .strings('tokenizer.ggml.tokens', ['a']),
      /scores is not one number for each token/,
    ],
    [
      'missing merges',
      () =>
        new GgufBuilder()
          .string('tokenizer.ggml.model', 'gpt2')
          .strings('tokenizer.ggml.tokens', ['a']),
      /merges is missing/,
    ],
    [
      'a merge of unknown tokens',
      () =>
        new GgufBuilder()
          .string('tokenizer.ggml.model', 'gpt2')
          .strings('tokenizer.ggml.tokens', ['a', 'b'])
          .strings('tokenizer.ggml.merges', ['a b']),
      /merges\[0\] "a b" names a token that is not in the vocabulary/,
    ],
    [
      'a merge that is no pair',
      () =>
        new GgufBuilder()
          .string('tokenizer.ggml.model', 'gemma4')
          .uint32('tokenizer.ggml.bos_token_id', 0)
          .strings('tokenizer.ggml.tokens', ['a', 'b'])
          .strings('tokenizer.ggml.merges', ['ab']),
      /is not a pair/,
    ],
    [
      'add_bos_token without a token',
      () => byteLevel().bool('tokenizer.ggml.add_bos_token', true),
      /add_bos_token without bos_token_id/,
    ],
    [
      'a flag of another type',
      () => byteLevel().string('tokenizer.ggml.add_bos_token', 'yes'),
      /add_bos_token is not a boolean/,
    ],
  ]
  test.each(cases)('%s', async (_, build, reason) => {
    const error = await load(build()).catch(e => e)
    expect(error).toBeInstanceOf(FileFormatError)
    expect(error.reason).toMatch(reason)
    expect(error.path).toContain('x.gguf')
  })
})
