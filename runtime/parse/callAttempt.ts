import { MalformedCall, plainText, type Tape, type Wait } from './tape.ts'

/** The text around calls. */
export interface CallBounds {
  /** What a call may begin with; `atLineStart`: only as the first thing on a line. */
  openers: { text: string; atLineStart?: boolean }[]
  /** What ends a call whatever state it is in. */
  closers: string[]
}

/**
 * Runs a parser of calls. Where the output does not follow the format, the calls that ended stand and what comes after them is
 * left to be text; in a call that has begun, it is that call's arguments as they are written, up to the next closer or opener.
 * @returns false, with the cursor where it was, when there was no call
 */
export function* attempt(tape: Tape, parser: Wait<void>, bounds: CallBounds): Wait<boolean> {
  const from = tape.offset
  const callsBefore = tape.numCalls
  try {
    yield* parser
  } catch (error) {
    if (!(error instanceof MalformedCall)) throw error
    if (tape.isInCall) yield* restOfCall(tape, bounds)
    else if (tape.numCalls === callsBefore) {
      tape.rewind(from)
      return false
    }
  }
  tape.rewind()
  return true
}

function* restOfCall(tape: Tape, { openers, closers }: CallBounds): Wait<void> {
  // Cut inside a tag: that is no argument.
  if (tape.isEnded) return tape.skip()
  const begins = openers.filter(({ atLineStart }) => !atLineStart).map(({ text }) => text)
  const plain = plainText([...closers, ...begins])
  for (;;) {
    tape.give('call_arguments')
    for (const opener of begins) if (yield* tape.lookingAt(opener)) return tape.endCall()
    for (const closer of closers) {
      if (!(yield* tape.lookingAt(closer))) continue
      tape.endCall()
      yield* tape.expect(closer)
      return tape.close('call')
    }
    if ((yield* tape.peek()) === '') return
    tape.advance()
    tape.advanceOver(plain)
  }
}
