import { MalformedCall, type Tape, type Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, jsonArguments, scanJson, toolName } from './toolCall.ts'

/** Llama 3.2 writes the name as `function`. */
const nameKeys = new Set(['name', 'function'])
const argumentKeys = new Set(['arguments', 'parameters'])
/** Members without a meaning here; any other shows that the object is no call. */
const otherKeys = new Set(['id', 'type'])

/**
 * Calls as `{"name": …, "arguments": {…}}`: one, several in a row, or a JSON list of them, up to and with `close`.
 * A last brace that is missing before `close` is not missed.
 */
export function* jsonCalls(tape: Tape, tools: DeclaredTools, close = ''): Wait<void> {
  yield* tape.skipSpace()
  const isList = yield* tape.take('[')
  do {
    yield* tape.skipSpace()
    yield* jsonCall(tape, tools)
    yield* tape.skipSpace()
    if (!(yield* tape.take('}')) && (close === '' || !(yield* tape.lookingAt(close)))) {
      throw new MalformedCall()
    }
    tape.close('call')
    yield* tape.skipSpace()
    if ((yield* tape.take(',')) || (yield* tape.take(';'))) yield* tape.skipSpace()
  } while (yield* tape.lookingAt('{'))
  if (isList) yield* tape.expect(']')
  yield* tape.skipSpace()
  yield* tape.expect(close)
  tape.close('call')
}

/** One call, up to before its last brace. It ends with its arguments, whatever other members come. */
function* jsonCall(tape: Tape, tools: DeclaredTools): Wait<void> {
  yield* tape.expect('{')
  let call: CallWriter | undefined
  /** Arguments that stand before the name. */
  let early: string | undefined
  let isEnded = false
  do {
    yield* tape.skipSpace()
    const key = yield* memberKey(tape)
    if (nameKeys.has(key) && call === undefined) {
      yield* tape.expect('"')
      call = new CallWriter(tape, yield* toolName(tape, tools))
      yield* tape.expect('"')
      if (early !== undefined) call.end(early)
      isEnded = early !== undefined
    } else if (argumentKeys.has(key) && call === undefined && early === undefined) {
      early = yield* jsonObject(tape)
    } else if (argumentKeys.has(key) && call !== undefined && !isEnded) {
      yield* jsonArguments(tape, call)
      call.end()
      isEnded = true
    } else if (otherKeys.has(key)) yield* scanJson(tape, () => {})
    else throw new MalformedCall()
    yield* tape.skipSpace()
  } while (yield* tape.take(','))
  if (call === undefined) throw new MalformedCall()
  if (isEnded) return
  if (!(yield* tape.lookingAt('}'))) throw new MalformedCall()
  call.end('{}')
}

function* jsonObject(tape: Tape): Wait<string> {
  if ((yield* tape.peek()) !== '{') throw new MalformedCall()
  let text = ''
  yield* scanJson(tape, json => {
    text += json
  })
  return text
}

function* memberKey(tape: Tape): Wait<string> {
  yield* tape.expect('"')
  let key = ''
  for (;;) {
    const character = yield* tape.peek()
    if (!/[a-z]/.test(character)) break
    key += character
    tape.advance()
  }
  yield* tape.expect('"')
  yield* tape.skipSpace()
  yield* tape.expect(':')
  yield* tape.skipSpace()
  return key
}
