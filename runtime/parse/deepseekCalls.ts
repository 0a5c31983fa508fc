import type { Tape, Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, jsonArguments, toolName } from './toolCall.ts'

/** The first is the token; the others are how distillates spell it. */
export const deepseekBegins = [
  '<｜tool▁calls▁begin｜>',
  '<｜tool▁calls｜>',
  '<｜tool_calls_begin｜>',
  '<｜tool calls begin｜>',
]

const begin = '<｜tool▁call▁begin｜>'
const separator = '<｜tool▁sep｜>'
const end = '<｜tool▁call▁end｜>'

/**
 * DeepSeek: between `calls begin` and `calls end`, each call as `name sep {…}` (V3.1), or as `function sep name` and a fenced
 * block of JSON (V3, R1 and its distillates).
 */
export function* deepseekCalls(tape: Tape, tools: DeclaredTools): Wait<void> {
  for (const calls of deepseekBegins) if (yield* tape.take(calls)) break
  do {
    yield* tape.skipSpace()
    yield* tape.expect(begin)
    yield* deepseekCall(tape, tools)
    yield* tape.skipSpace()
  } while (yield* tape.lookingAt(begin))
  if (yield* tape.take('<｜tool▁calls▁end｜>')) tape.close('call')
}

function* deepseekCall(tape: Tape, tools: DeclaredTools): Wait<void> {
  const isFenced = yield* tape.take(`function${separator}`)
  const call = new CallWriter(tape, yield* toolName(tape, tools))
  if (!isFenced) yield* tape.expect(separator)
  yield* tape.skipSpace()
  if (isFenced && (yield* tape.take('```'))) {
    yield* tape.take('json')
    yield* tape.skipSpace()
  }
  yield* jsonArguments(tape, call)
  call.end()
  yield* tape.skipSpace()
  if (isFenced && (yield* tape.take('```'))) yield* tape.skipSpace()
  yield* tape.expect(end)
  tape.close('call')
}
