import { attempt } from './callAttempt.ts'
import type { ReasoningFormat } from './reasoningFormats.ts'
import { isSpace, plainText, type Tape, type Wait } from './tape.ts'
import type { DeclaredTools } from './toolCall.ts'
import type { ToolCallFormat } from './toolCallFormats.ts'

export interface TaggedOptions {
  reasoning: ReasoningFormat | undefined
  calls: ToolCallFormat | undefined
  tools: DeclaredTools
  /** The prompt ends inside a reasoning block. */
  startsInReasoning: boolean
}

/**
 * Reads an output in which reasoning and calls stand between tags in the text.
 *
 * A reasoning block may open where no text has been said since the start or the last block or call, elsewhere only where its
 * tag cannot be meant as text (`anywhere`). Inside it everything is reasoning, calls too. Space around blocks and calls is
 * markup, all other space is text.
 */
export function* taggedOutput(tape: Tape, options: TaggedOptions): Wait<void> {
  const { reasoning, tools } = options
  const calls = tools.size > 0 ? options.calls : undefined
  const plain = plainText([reasoning?.open ?? '', ...(calls?.openers.map(o => o.text) ?? [])])
  if (options.startsInReasoning && reasoning) yield* reasoningBlock(tape, reasoning.close)
  let isFresh = true
  for (;;) {
    const mayReason = reasoning !== undefined && (isFresh || reasoning.anywhere)
    if (!mayReason && calls === undefined) break
    const character = yield* tape.peek()
    if (character === '') break
    if (isSpace(character)) {
      tape.advance()
    } else if (mayReason && (yield* tape.take(reasoning.open))) {
      tape.skip()
      yield* reasoningBlock(tape, reasoning.close)
      isFresh = true
    } else {
      isFresh = calls !== undefined && (yield* anyCall(tape, calls, tools, isFresh))
      if (isFresh) continue
      tape.advance()
      tape.advanceOver(plain)
      tape.give('text')
    }
  }
  yield* restOfText(tape)
}

const everything = /[\s\S]*/y

function* restOfText(tape: Tape): Wait<void> {
  do {
    tape.advanceOver(everything)
    tape.give('text')
  } while ((yield* tape.peek()) !== '')
}

/** Gives the inside of a block, up to its closing tag or the end of the output. */
function* reasoningBlock(tape: Tape, close: string): Wait<void> {
  yield* tape.skipSpace()
  tape.skip()
  const plain = plainText([close])
  for (;;) {
    const character = yield* tape.peek()
    if (character === '') {
      tape.give('reasoning')
      return
    }
    if (isSpace(character)) tape.advance()
    else if (yield* tape.take(close)) break
    else {
      tape.advance()
      tape.advanceOver(plain)
      tape.give('reasoning')
    }
  }
  yield* tape.skipSpace()
  tape.close('reasoning')
}

function* anyCall(
  tape: Tape,
  calls: ToolCallFormat,
  tools: DeclaredTools,
  isFresh: boolean,
): Wait<boolean> {
  for (const { text, atLineStart } of calls.openers) {
    if (atLineStart && !isFresh && !tape.unsettled.includes('\n')) continue
    if (!(yield* tape.lookingAt(text))) continue
    if (yield* attempt(tape, calls.parse(tape, tools), calls)) {
      yield* tape.skipSpace()
      tape.close('call')
      return true
    }
  }
  return false
}
