import { describe, expect, it, test } from 'vitest'
import type { Grammar } from '../../edge/engine.ts'
import { TokenPiecesBuilder } from '../text/tokenizer/tokenPieces.ts'
import { compileAutomaton } from './automaton.ts'
import { CompiledGrammar, GrammarMatcher } from './grammarMatcher.ts'
import { lowerGrammar } from './lowerGrammar.ts'
import type { MatchState } from './matchState.ts'
import { buildTokenTrie, tokenLimits } from './tokenTrie.ts'

const words = ['aaaa', 'ca', 'ac', 'aac']
const vocabSize = 256 + words.length
const pieces = (() => {
  const builder = new TokenPiecesBuilder(vocabSize)
  for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
  for (const word of words) builder.addText(word, 0)
  return builder.build('keep')
})()
const tokenBytes = (id: number) =>
  id < 256 ? Uint8Array.of(id) : new TextEncoder().encode(words[id - 256])
const trie = buildTokenTrie(pieces, vocabSize)

function compile(grammar: Grammar): CompiledGrammar {
  const automaton = compileAutomaton(lowerGrammar(grammar), tokenLimits(trie))
  return new CompiledGrammar(automaton, { trie, vocabSize, tokenBytes })
}

describe('thousands of alternatives', () => {
  const texts = Array.from(
    { length: 5000 },
    (_, i) => `n ${(i * 7919) % 9973} ${'x'.repeat(i % 9)}`,
  )
  const lists: [string, Grammar, (text: string) => string][] = [
    ['choices', { type: 'choice', choices: texts }, text => text],
    ['values', { type: 'json_schema', schema: { enum: texts } }, text => JSON.stringify(text)],
    ['words of a pattern', { type: 'regex', pattern: texts.join('|') }, text => text],
  ]
  it.each(lists)('%s are all there', (_, grammar, written) => {
    const compiled = compile(grammar)
    const lost = texts.filter(text => {
      const matcher = new GrammarMatcher(compiled)
      return ![...Buffer.from(written(text))].every(id => matcher.accept(id)) || !matcher.canEnd
    })
    expect(lost).toEqual([])
  })
})

describe('a text that can be read in hundreds of ways', () => {
  it('has masks of tokens that it can go on with', () => {
    const rules = 'root ::= "x" r "y"\nr ::= "a"* "c"? "a"{800} "z"'
    const { graph, masks } = compile({ type: 'gbnf', grammar: rules })
    const follow = (from: MatchState, bytes: Uint8Array) =>
      bytes.reduce<MatchState | null>((state, byte) => state && graph.step(state, byte), from)
    let state = follow(graph.start, tokenBytes('x'.charCodeAt(0)))
    for (let length = 1; length <= 520 && state !== null; length++) {
      const here = follow(state, tokenBytes('a'.charCodeAt(0)))
      state = here
      if (here === null || length % 20 > 0) continue
      const mask = new Uint32Array(masks.numWords)
      masks.fill(here, mask)
      const refused = Array.from({ length: vocabSize }, (_, id) => id).filter(
        id => ((mask[id >> 5] ?? 0) >>> (id & 31)) & 1 && follow(here, tokenBytes(id)) === null,
      )
      expect(refused, `after ${length}`).toEqual([])
    }
    expect(state).not.toBeNull()
  })
})

test('a long text does not stay in memory, state by state', () => {
  const { graph } = compile({ type: 'regex', pattern: '[ab]{20000}' })
  let state: MatchState | null = graph.start
  for (let length = 0; length < 15_000; length++) state = state && graph.step(state, 97)
  expect(state).not.toBeNull()
  const reachable = new Set([graph.start])
  for (const { next } of reachable) for (const to of next) if (to) reachable.add(to)
  expect(reachable.size).toBeLessThan(5000)
})
