import { describe, expect, test } from 'vitest'
import { ggufPreTokenizer, ggufPreTokenizerNames } from '../tokenizer/ggufPreTokenizers.ts'
import { compileOnigRegex } from './onigRegex.ts'
import { UnsupportedRegexError } from './unsupportedRegexError.ts'

function matches(pattern: string, text: string): string[] {
  return [...text.matchAll(compileOnigRegex(pattern, 'g'))].map(match => match[0])
}

describe('compileOnigRegex', () => {
  test.each([
    ["(?i:'s|'T)", "'S 't 's", ["'S", "'t", "'s"]],
    ['\\s+', 'a\u0085\u00a0b\ufeffc', ['\u0085\u00a0']],
    ['[^\\S\\n]+', 'a \n\tb', [' ', '\t']],
    ['\\d+', '12٣4x', ['12٣4']],
    ['\\w+', 'naïve_1 x', ['naïve_1', 'x']],
    ['a++b', 'aaab', ['aaab']],
    ['a++ab', 'aaab', []],
    ['[^x]?+x', 'yx', ['yx']],
    ['(?>a|ab)c', 'abc ac', ['ac']],
    ['\\p{Han}+', '漢字かな', ['漢字']],
    ['\\p{^L}+', 'a12b', ['12']],
    ['[[:alpha:]]+', 'ab1', ['ab']],
    ['[\\p{L}&&[^a-c]]+', 'abcde', ['de']],
    ['[(\\s|[.,])]+', 'a .,b|(', [' .,', '|(']],
    ['[!-/\\-"#_]+', '-_"#x', ['-_"#']],
    ['^a$', 'b\na\nc', ['a']],
    ['\\Aa|b\\z', 'a\nab', ['a', 'b']],
    ['.+', 'a\u2028b\nc', ['a\u2028b', 'c']],
    ['(?m:a.b)', 'a\nb', ['a\nb']],
    ['(?i)ab', 'AB', ['AB']],
    ['a{,2}', 'aaa', ['aa', 'a', '']],
    ['a{x}', 'a{x}', ['a{x}']],
    ['\\x41\\x{1F600}\\u00e9', 'A😀é', ['A😀é']],
    ['\\h+', 'fg', ['f']],
    ['\\bcat\\b', 'cat concat', ['cat']],
    ['(a)\\1', 'aa', ['aa']],
    ['\\R', '\r\n\n', ['\r\n', '\n']],
  ])('%s', (pattern, text, expected) => {
    expect(matches(pattern, text)).toEqual(expected)
  })

  test.each([
    '(a+)+$',
    '(?:a|a)*b',
    '(?:a|aa)+$',
    '([^x]+)*y',
    '(\\s+)+x',
    '(',
    ')',
    '[a',
    'a**?*{',
    '*a',
    '[z-a]',
    '\\p{Nope}',
    '(?<x',
    '(?#comment)',
    '\\Q',
    `${'('.repeat(200)}a${')'.repeat(200)}`,
    'a'.repeat(30_000),
  ])('refuses %s quickly', pattern => {
    const start = process.threadCpuUsage()
    expect(() => compileOnigRegex(pattern, 'g')).toThrow(UnsupportedRegexError)
    expect(process.threadCpuUsage(start).user / 1000).toBeLessThan(3000)
  })

  test('compiles every known GGUF pattern', () => {
    expect(ggufPreTokenizerNames.length).toBeGreaterThan(80)
    for (const name of ggufPreTokenizerNames) {
      for (const pattern of ggufPreTokenizer(name)?.patterns ?? []) compileOnigRegex(pattern, 'g')
    }
    expect(ggufPreTokenizer('toString')).toBeUndefined()
  })
})
