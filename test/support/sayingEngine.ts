import { type OutputReading, outputReading } from '../../runtime/engine/output/outputReading.ts'
import type { ParserOverrides } from '../../runtime/parse/detectFormat.ts'
import { TokenPiecesBuilder, tokenFlag } from '../../runtime/text/tokenizer/tokenPieces.ts'
import { fakeEngine, fakeText } from './fakeEngine.ts'

interface Saying {
  /** What the model says, whatever it is asked. */
  output: string
  parsers: ParserOverrides
  /** End of every prompt. */
  promptTail?: string
}

/**
 * An engine whose model says one text and ends. Its tokens are the markers of the format, as control tokens, and words with the
 * space before them.
 */
export async function sayingEngine({ output, parsers, promptTail = '' }: Saying) {
  const markers = new Set<string>()
  await read(parsers, contents => {
    for (const content of contents) markers.add(content)
    return []
  })
  const vocabulary = ['</s>', promptTail, ...markers]
  const script: number[] = []
  for (let rest = output; rest !== ''; ) {
    const token =
      [...markers].find(marker => rest.startsWith(marker)) ?? word(rest, [...markers]) ?? rest
    if (!vocabulary.includes(token, 2)) vocabulary.push(token)
    script.push(vocabulary.indexOf(token, 2))
    rest = rest.slice(token.length)
  }
  const pieces = new TokenPiecesBuilder(vocabulary.length)
  for (const [id, token] of vocabulary.entries()) {
    pieces.addText(token, id === 0 || markers.has(token) ? tokenFlag.special : 0)
  }
  const reading = await read(parsers, contents => contents.map(c => vocabulary.indexOf(c, 2)))
  const text = fakeText(pieces.build('keep'), () => Int32Array.of(1))
  const { engine, native } = fakeEngine(text, {
    reading,
    vocabSize: vocabulary.length,
    maxModelLen: 1000,
  })
  native.replaceToken = () => script.shift() ?? 0
  return engine
}

/** A word, or less where a marker begins within it. */
function word(text: string, markers: readonly string[]): string | undefined {
  const [found = ''] = /^\s*(?:\w+|.)?/u.exec(text) ?? []
  const next = markers.map(marker => text.indexOf(marker)).filter(at => at > 0)
  return found.slice(0, Math.min(found.length, ...next)) || undefined
}

function read(
  parsers: ParserOverrides,
  tokenIds: (contents: string[]) => number[],
): Promise<OutputReading> {
  const text = {
    templates: [],
    describedCalls: async () => undefined,
    tokenIds: async (contents: string[]) => tokenIds(contents),
  }
  return outputReading(text, parsers)
}
