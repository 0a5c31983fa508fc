import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Grammar } from '../../edge/engine.ts'
import { TokenPiecesBuilder } from '../text/tokenizer/tokenPieces.ts'
import { GrammarError } from './expr.ts'
import { GrammarMatcher } from './grammarMatcher.ts'
import { GrammarService } from './grammarService.ts'

const words = ['{"', '"}', '": ', 'ab', 'aba']
const numTokens = 256 + words.length
const pieces = (() => {
  const builder = new TokenPiecesBuilder(numTokens)
  for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
  for (const word of words) builder.addText(word, 0)
  return builder.build('keep')
})()
const idOf = (word: string) => 256 + words.indexOf(word)
const byteIds = (text: string) => [...new TextEncoder().encode(text)]

describe('GrammarService', () => {
  const service = new GrammarService(pieces, numTokens)
  afterAll(() => service.close())

  const compile = (grammar: Grammar) => service.compile({ grammar, controlTokens: [] })
  const allowed = (matcher: GrammarMatcher, remaining = 1000): number[] => {
    const mask = new Uint32Array(Math.ceil(numTokens / 32))
    matcher.fill(mask, remaining, [0])
    return Array.from({ length: numTokens }, (_, id) => id).filter(
      id => ((mask[id >> 5] ?? 0) >>> (id & 31)) & 1,
    )
  }

  it('allows exactly the tokens that the grammar goes on with', async () => {
    const grammar = await compile({ type: 'regex', pattern: '(ab)*c|\\{"x"\\}' })
    const matcher = new GrammarMatcher(grammar)
    expect(allowed(matcher)).toEqual([...byteIds('ac{'), idOf('{"'), idOf('ab'), idOf('aba')])
    expect(matcher.accept(idOf('aba'))).toBe(true)
    expect(allowed(matcher)).toEqual(byteIds('b'))
    expect(matcher.accept(idOf('ab'))).toBe(false)
    expect(matcher.accept(98)).toBe(true)
    expect(matcher.accept(99)).toBe(true)
    // Nothing but the end of text.
    expect(allowed(matcher)).toEqual([0])
  })

  it('steers to an end while there still is room for one', async () => {
    const schema = { type: 'object', properties: { a: {} }, required: ['a'] }
    const grammar = await compile({ type: 'json_schema', schema })
    for (const limit of [9, 10, 12, 20, 60]) {
      const matcher = new GrammarMatcher(grammar)
      let used = 0
      for (; used < limit; used++) {
        const ids = allowed(matcher, limit - used)
        // The most eager to go on: the last that is no end.
        const id = ids.findLast(other => other !== 0) ?? 0
        if (id === 0) break
        matcher.accept(id)
      }
      expect(matcher.canEnd, `with ${limit} tokens`).toBe(true)
      expect(used).toBeLessThan(limit)
    }
  })

  it('gives the same object for the same grammar', async () => {
    const [a, b] = [1, 2].map(() => compile({ type: 'choice', choices: ['x', 'y'] }))
    expect(await a).toBe(await b)
  })

  it('sends a vocabulary once, when it is warmed up or with the first grammar', async () => {
    const posted = vi.spyOn(Worker.prototype, 'postMessage')
    const warm = new GrammarService(pieces, numTokens)
    await warm.warmUp()
    expect(posted.mock.calls.map(([message]) => message.request.op)).toEqual(['vocabulary'])
    await Promise.all([
      warm.warmUp(),
      warm.compile({ grammar: { type: 'regex', pattern: 'x' }, controlTokens: [] }),
    ])
    expect(posted.mock.calls.map(([message]) => message.request.op)).toEqual([
      'vocabulary',
      'compile',
    ])
    await warm.close()
    await warm.warmUp()
    expect(posted).toHaveBeenCalledTimes(2)
    posted.mockRestore()
  })

  it('gives up a grammar that takes too long, and goes on with others', async () => {
    // Each property is looked up for every code point there is.
    const scripts =
      'Latn Grek Cyrl Arab Hebr Hani Thai Hira Kana Hang Deva Beng Taml Telu Geor Armn Ethi Khmr Mong Tibt'
    const classes =
      'Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn L M N P S Z C'
    const names = [
      ...scripts.split(' ').flatMap(s => [`sc=${s}`, `scx=${s}`]),
      ...classes.split(' '),
    ]
    const endless = { type: 'regex' as const, pattern: names.map(n => `\\p{${n}}`).join('') }
    await expect(compile(endless)).rejects.toThrow(/more than 1 s to compile/)
    await expect(compile({ type: 'regex', pattern: '(' })).rejects.toThrow(GrammarError)
    await expect(compile({ type: 'regex', pattern: 'x' })).resolves.toBeDefined()
  })
})
