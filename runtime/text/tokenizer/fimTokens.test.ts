import { describe, expect, test } from 'vitest'
import { findFimTokens } from './fimTokens.ts'

const found = { prefix: 1, suffix: 2, middle: 3 }

describe('fill-in-the-middle tokens', () => {
  test.each([
    ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'],
    ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
    ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'],
    ['▁<PRE>', '▁<SUF>', '▁<MID>'],
  ])('%s', (...texts) => {
    const tokenId = (content: string) => {
      const at = texts.indexOf(content)
      return at < 0 ? undefined : at + 1
    }
    expect(findFimTokens(tokenId)).toEqual(found)
    expect(findFimTokens(content => (content === texts[2] ? undefined : tokenId(content)))).toBe(
      undefined,
    )
  })

  test.each([[{ fim_pre: 1, fim_suf: 2, fim_mid: 3 }], [{ prefix: 1, suffix: 2, middle: 3 }]])(
    'of GGUF metadata %j',
    keys => {
      const entries = Object.entries(keys).map(
        ([key, id]) => [`tokenizer.ggml.${key}_token_id`, id] as const,
      )
      expect(findFimTokens(() => undefined, new Map(entries))).toEqual(found)
    },
  )
})
