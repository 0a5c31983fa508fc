import { jsonCalls } from './jsonCalls.ts'
import type { Tape, Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, jsonArguments, toolName } from './toolCall.ts'

/**
 * `[TOOL_CALLS]` before a JSON list of calls, or (tokenizer v11 and later) before each call as `name[CALL_ID]id[ARGS]{…}`, of
 * which models leave out the middle.
 */
export function* mistralCalls(tape: Tape, tools: DeclaredTools): Wait<void> {
  yield* tape.expect('[TOOL_CALLS]')
  yield* tape.skipSpace()
  if ((yield* tape.lookingAt('[')) || (yield* tape.lookingAt('{'))) {
    yield* jsonCalls(tape, tools)
    return
  }
  const call = new CallWriter(tape, yield* toolName(tape, tools))
  if (yield* tape.take('[CALL_ID]')) {
    while (/\w/.test(yield* tape.peek())) tape.advance()
  }
  yield* tape.take('[ARGS]')
  yield* tape.skipSpace()
  yield* jsonArguments(tape, call)
  call.end()
}
