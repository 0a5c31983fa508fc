import { describe, expect, test } from 'vitest'
import { Detokenizer, detokenize } from './detokenizer.ts'
import { type TokenPieces, TokenPiecesBuilder, tokenFlag } from './tokenPieces.ts'

/** Tokens 0-255: single bytes. 256: a special one. 257: " a". 258: none. */
function pieces(leadingSpace: TokenPieces['leadingSpace'], isFallback: boolean): TokenPieces {
  const builder = new TokenPiecesBuilder(259)
  for (let byte = 0; byte < 256; byte++) {
    builder.addByte(byte, isFallback ? tokenFlag.byteFallback : 0)
  }
  builder.addText('<end>', tokenFlag.added | tokenFlag.special)
  builder.addText(' a', 0)
  builder.addText('', tokenFlag.missing)
  return builder.build(leadingSpace)
}

function stream(table: TokenPieces, ids: number[], skipSpecialTokens = false): string[] {
  const detokenizer = new Detokenizer(table, { skipSpecialTokens })
  return [...ids.map(id => detokenizer.push(id)), detokenizer.flush()]
}

describe('byte-level tokens', () => {
  const table = pieces('keep', false)
  const bytes = (text: string) => [...new TextEncoder().encode(text)]

  test('come out as whole characters', () => {
    expect(stream(table, bytes('aé🙂'))).toEqual(['a', '', 'é', '', '', '', '🙂', ''])
  })

  test('invalid and unfinished bytes decode as TextDecoder does', () => {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    let state = 7
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    const leads = [0x41, 0xc3, 0xa9, 0xe2, 0x82, 0xf0, 0x9f, 0x99, 0xed, 0xa0, 0xff, 0xf4, 0x90]
    for (let round = 0; round < 2000; round++) {
      const ids = Array.from({ length: next(9) }, () => leads[next(leads.length)] ?? 0)
      const expected = decoder.decode(Uint8Array.from(ids))
      expect(stream(table, ids).join('')).toBe(expected)
      expect(detokenize(table, ids, { skipSpecialTokens: false })).toBe(expected)
    }
  })

  test('a skipped special token does not break a character, a shown one does', () => {
    expect(stream(table, [0xc3, 256, 0xa9], true).join('')).toBe('é')
    expect(stream(table, [0xc3, 256, 0xa9], false).join('')).toBe('\ufffd<end>\ufffd')
  })

  test('unknown ids add nothing', () => {
    expect(stream(table, [0x61, 258, 99_999, -1, 0x62]).join('')).toBe('ab')
  })
})

describe('byte-fallback tokens', () => {
  const table = pieces('dropOne', true)

  test('a broken run gives one replacement for each byte', () => {
    expect(stream(table, [0xe2, 0x82, 257])).toEqual(['', '', '\ufffd\ufffd a', ''])
    expect(stream(table, [0xe2, 0x82]).join('')).toBe('\ufffd\ufffd')
    expect(stream(table, [0xe2, 0x82, 0xac, 257]).join('')).toBe('€ a')
    expect(stream(table, [0xe2, 0x41])).toEqual(['', '\ufffdA', ''])
  })

  test('one leading space goes, unless the text goes on from another', () => {
    expect(stream(table, [257, 257]).join('')).toBe('a a')
    expect(stream(table, [0x20, 257]).join('')).toBe(' a')
    const continued = new Detokenizer(table, { skipSpecialTokens: true, continuation: true })
    expect(continued.push(257)).toBe(' a')
  })

  test('a skipped special token leaves the space to drop for the first text', () => {
    expect(stream(table, [256, 257], true).join('')).toBe('a')
    expect(stream(table, [256, 257], false).join('')).toBe('<end> a')
  })
})
