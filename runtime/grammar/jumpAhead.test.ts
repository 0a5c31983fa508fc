import { describe, expect, it } from 'vitest'
import { TokenPiecesBuilder, tokenFlag } from '../text/tokenizer/tokenPieces.ts'
import { compileAutomaton } from './automaton.ts'
import { forcedRun } from './forcedRun.ts'
import { type EncodeText, JumpAhead } from './jumpAhead.ts'
import { lowerGrammar } from './lowerGrammar.ts'
import { MatchGraph } from './matchState.ts'
import { buildTokenTrie, isProperPrefix, tokenLimits } from './tokenTrie.ts'

const words = ['{"', 'name', '":', '":"', 'am', 'e":', '</s>', ' {"']
const vocabSize = 256 + words.length
const pieces = (() => {
  const builder = new TokenPiecesBuilder(vocabSize)
  for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
  for (const word of words) builder.addText(word, word === '</s>' ? tokenFlag.special : 0)
  return builder.build('keep')
})()
const trie = buildTokenTrie(pieces, vocabSize)
const idOf = (word: string) => 256 + words.indexOf(word)
const bytesOf = (text: string) => new TextEncoder().encode(text)
/** As a tokenizer would: these words where they are, else bytes. */
const encode: EncodeText = async text =>
  text
    .split(/(\{"|name|":|<\/s>)/)
    .flatMap(part => (words.includes(part) ? [idOf(part)] : [...bytesOf(part)]))

const jumps = new JumpAhead(encode, pieces, trie, vocabSize)
const tokensOf = (pattern: string, tokenizer = jumps) => {
  const lowered = lowerGrammar({ type: 'regex', pattern })
  const graph = new MatchGraph(compileAutomaton(lowered, tokenLimits(trie)))
  return tokenizer.tokens(forcedRun(graph, graph.start))
}

describe('JumpAhead', () => {
  it.each<[string, string, (string | number)[]]>([
    ['all of a text that ends', '\\{"name":', ['{"', 'name', '":']],
    ['up to where a longer token may be', '\\{"name":("x"|1)', ['{"', 'name']],
    ['all but the last token at an open end', '\\{"name:[ab]', ['{"', 'name']],
    ['up to where a token may begin inside another', '\\{"name"(:|,)', ['{"']],
    ['nothing where the first token may be longer', 'nam(e|ed)', []],
    ['nothing where there is a choice', '[ab]c', []],
    ['whole characters only', '(ä|ö)x', []],
    ['not past an end that may be one', '(name)?', []],
    ['no text that spells a control token', 'a</s>', []],
  ])('gives %s', async (_what, pattern, expected) => {
    expect(await tokensOf(pattern)).toEqual(
      expected.map(word => (typeof word === 'number' ? word : idOf(word))),
    )
  })

  it('does not use ids that spell something else or fail', async () => {
    for (const broken of [
      async () => [idOf(' {"'), idOf('name')],
      () => Promise.reject(new Error('the text worker ended')),
    ]) {
      const jump = new JumpAhead(broken, pieces, trie, vocabSize)
      expect(await tokensOf('\\{"name', jump)).toEqual([])
    }
  })

  it('waits for the tokenizer: what is forced does not depend on what else it is at', async () => {
    const { promise: isFree, resolve: free } = Promise.withResolvers<void>()
    const busy = new JumpAhead(text => isFree.then(() => encode(text)), pieces, trie, vocabSize)
    const tokens = tokensOf('\\{"name":', busy)
    setTimeout(free, 300)
    expect(await tokens).toEqual(await tokensOf('\\{"name":'))
  })

  it('does not force a control token that the model does not have', async () => {
    const few = new JumpAhead(encode, pieces, trie, idOf('</s>'))
    const parts = [bytesOf('{"name'), idOf('</s>'), bytesOf('{"')]
    expect(await few.tokens({ parts, isOpen: false })).toEqual([idOf('{"'), idOf('name')])
  })

  it('forces nothing behind text that no tokens spell', async () => {
    const parts = [Uint8Array.of(0xc3), idOf('</s>'), bytesOf('{"')]
    expect(await jumps.tokens({ parts, isOpen: false })).toEqual([])
  })

  it('asks once for each text', async () => {
    const asked: string[] = []
    const counting = new JumpAhead(
      text => {
        asked.push(text)
        return encode(text)
      },
      pieces,
      trie,
      vocabSize,
    )
    await tokensOf('\\{"name', counting)
    await tokensOf('\\{"name', counting)
    expect(asked).toEqual(['{"name'])
  })
})

it('knows the proper prefixes of tokens', () => {
  const are = ['', 'n', 'nam', '"', '":', ' {'].filter(text => isProperPrefix(trie, bytesOf(text)))
  expect(are).toEqual(['', 'n', 'nam', '"', '":', ' {'])
  const not = ['name', '{"', '":"', 'x', 'name:', '</'].filter(text =>
    isProperPrefix(trie, bytesOf(text)),
  )
  expect(not).toEqual([])
})
