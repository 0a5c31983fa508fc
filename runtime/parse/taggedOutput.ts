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
 * tag cannot be meant as text (`anywhere`). It ends at its closing tag, or at a call, which models now and then make without
 * closing the block (Qwen 3.5, Kimi K2). Space around blocks and calls is markup, all other space is text.
 */
export function* taggedOutput(tape: Tape, options: TaggedOptions): Wait<void> {
  const { reasoning, tools } = options
  const calls = tools.size > 0 ? options.calls : undefined
  const openers = calls?.openers ?? []
  const plain = plainText([reasoning?.open ?? '', ...openers.map(({ text }) => text)])
  const reader = { tape, calls, tools }
  /** A block that a call has ended may still be closed after it. */
  let isUnclosed = false
  if (options.startsInReasoning && reasoning) {
    isUnclosed = (yield* reasoningBlock(reader, reasoning.close)) === 'call'
  }
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
      isUnclosed = (yield* reasoningBlock(reader, reasoning.close)) === 'call'
      isFresh = true
    } else if (isUnclosed && isFresh && reasoning && (yield* tape.take(reasoning.close))) {
      yield* tape.skipSpace()
      tape.close('reasoning')
    } else {
      isFresh = yield* anyCall(
        reader,
        opener => !opener.atLineStart || isFresh || isLineStart(tape),
      )
      if (isFresh) continue
      tape.advance()
      tape.advanceOver(plain)
      tape.give('text')
    }
  }
  yield* restOfText(tape)
}

interface Reader {
  tape: Tape
  calls: ToolCallFormat | undefined
  tools: DeclaredTools
}

function isLineStart(tape: Tape): boolean {
  return tape.unsettled.includes('\n')
}

const everything = /[\s\S]*/y

function* restOfText(tape: Tape): Wait<void> {
  do {
    tape.advanceOver(everything)
    tape.give('text')
  } while ((yield* tape.peek()) !== '')
}

/** Gives the inside of a block. @returns what ended it */
function* reasoningBlock(reader: Reader, close: string): Wait<'tag' | 'call' | 'output'> {
  const { tape, calls } = reader
  const plain = plainText([close, ...(calls?.openers.map(({ text }) => text) ?? [])])
  yield* tape.skipSpace()
  tape.skip()
  for (;;) {
    const character = yield* tape.peek()
    if (character === '') {
      tape.give('reasoning')
      return 'output'
    }
    if (isSpace(character)) tape.advance()
    else if (yield* tape.take(close)) {
      yield* tape.skipSpace()
      tape.close('reasoning')
      return 'tag'
    } else if (yield* anyCall(reader, opener => !opener.atLineStart)) {
      return 'call'
    } else {
      tape.advance()
      tape.advanceOver(plain)
      tape.give('reasoning')
    }
  }
}

/** Reads the calls that begin at the cursor with one of the openers that `mayOpen`. @returns whether there were any */
function* anyCall(
  { tape, calls, tools }: Reader,
  mayOpen: (opener: ToolCallFormat['openers'][number]) => boolean,
): Wait<boolean> {
  if (calls === undefined) return false
  for (const opener of calls.openers) {
    if (!mayOpen(opener) || !(yield* tape.lookingAt(opener.text))) continue
    if (yield* attempt(tape, calls.parse(tape, tools), calls)) {
      yield* tape.skipSpace()
      tape.close('call')
      return true
    }
  }
  return false
}
