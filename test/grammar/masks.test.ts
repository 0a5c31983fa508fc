import { expect, test } from 'vitest'
import { compileAutomaton } from '../../runtime/grammar/automaton.ts'
import { CompiledGrammar, GrammarMatcher } from '../../runtime/grammar/grammarMatcher.ts'
import { lowerJsonSchema } from '../../runtime/grammar/json/jsonSchema.ts'
import { buildTokenTrie, tokenLimits } from '../../runtime/grammar/tokenTrie.ts'
import { pieceBytes, TokenPiecesBuilder } from '../../runtime/text/tokenizer/tokenPieces.ts'
import { randomSchema, randomSource } from './randomSchema.ts'

/** All bytes, and random pieces of what schemas are made of. */
const random = randomSource(1)
const alphabet = 'abcxyz ABC019-.:@{}[]",\\é名😀truefalsn'
const words = Array.from({ length: 600 }, () =>
  Array.from({ length: 2 + Math.floor(random() * 5) }, () => {
    const chars = Array.from(alphabet)
    return chars[Math.floor(random() * chars.length)]
  }).join(''),
)
const vocabSize = 256 + words.length
const builder = new TokenPiecesBuilder(vocabSize)
for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
for (const word of words) builder.addText(word, 0)
const pieces = builder.build('keep')
const tokenBytes = (id: number) => pieceBytes(pieces, id)
const trie = buildTokenTrie(pieces, vocabSize)
const bit = (words: Uint32Array, id: number) => ((words[id >> 5] ?? 0) >>> (id & 31)) & 1

test('a mask allows a token if and only if the matcher takes it', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const automaton = compileAutomaton(lowerJsonSchema(randomSchema(seed)), tokenLimits(trie))
    const grammar = new CompiledGrammar(automaton, { trie, vocabSize, tokenBytes })
    const matcher = new GrammarMatcher(grammar)
    const drawn: number[] = []
    const choose = randomSource(seed)
    for (let n = 0; n < 60; n++) {
      const mask = new Uint32Array(Math.ceil(vocabSize / 32))
      // What has been prepared gives the same as what has not.
      if (n % 2 === 0) await matcher.prepareFill(1e6)
      matcher.fill(mask, 1e6, [])
      const allowed: number[] = []
      for (let id = 0; id < vocabSize; id++) {
        if (bit(mask, id)) allowed.push(id)
        if (n % 10 !== 0) continue
        const twin = new GrammarMatcher(grammar)
        for (const earlier of drawn) twin.accept(earlier)
        expect(twin.accept(id), `schema ${seed}, token ${id} after ${drawn}`).toBe(
          bit(mask, id) === 1,
        )
      }
      const id = allowed[Math.floor(choose() * allowed.length)]
      if (id === undefined) break
      expect(matcher.accept(id)).toBe(true)
      drawn.push(id)
    }
  }
})
