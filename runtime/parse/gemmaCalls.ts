import { escapeJson } from './jsonScanner.ts'
import { MalformedCall, type Tape, type Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, scanJson, toolName } from './toolCall.ts'
import { jsonFromText } from './typedValue.ts'

/** Stands where JSON has a quote. */
const quote = '<|"|>'
const maxDepth = 64

/** Gemma 4: `<|tool_call>call:name{key:<|"|>text<|"|>,other:[1,true]}<tool_call|>`; the arguments become JSON as they arrive. */
export function* gemmaCall(tape: Tape, tools: DeclaredTools): Wait<void> {
  yield* tape.expect('<|tool_call>')
  yield* tape.skipSpace()
  yield* tape.expect('call:')
  const call = new CallWriter(tape, yield* toolName(tape, tools))
  if ((yield* tape.peek()) !== '{') throw new MalformedCall()
  yield* value(tape, call, 'item', 0)
  call.end()
  yield* tape.skipSpace()
  if (yield* tape.take('<tool_call|>')) tape.close('call')
}

/** Where a value stands tells what may come after it. */
type Place = 'key' | 'member' | 'item'

function* value(tape: Tape, call: CallWriter, place: Place, depth: number): Wait<void> {
  if (depth > maxDepth) throw new MalformedCall()
  if (yield* tape.take('{')) yield* members(tape, call, depth, '}')
  else if (yield* tape.take('[')) yield* members(tape, call, depth, ']')
  else if (!(yield* quoted(tape, call, place))) yield* word(tape, call)
}

/** The inside of an object or list, up to its closing bracket. */
function* members(tape: Tape, call: CallWriter, depth: number, close: '}' | ']'): Wait<void> {
  const place = close === '}' ? 'member' : 'item'
  call.write(close === '}' ? '{' : '[')
  yield* tape.skipSpace()
  let isFirst = true
  while (!(yield* tape.take(close))) {
    if (!isFirst) {
      yield* tape.expect(',')
      yield* tape.skipSpace()
      call.write(', ')
    }
    isFirst = false
    if (place === 'member') {
      yield* key(tape, call)
      call.start()
    }
    yield* value(tape, call, place, depth + 1)
    yield* tape.skipSpace()
  }
  call.write(close)
}

/** Models also write `key=`. */
function* key(tape: Tape, call: CallWriter): Wait<void> {
  if (!(yield* quoted(tape, call, 'key'))) {
    const name = yield* until(tape, /[:=,{}[\]<>"'\s]/)
    if (name === '') throw new MalformedCall()
    call.write(`"${escapeJson(name)}"`)
  }
  yield* tape.skipSpace()
  if (!(yield* tape.take('='))) yield* tape.expect(':')
  yield* tape.skipSpace()
  call.write(': ')
}

/** A string in the format's own quotes, or in those of JSON or Python, which models fall back to. */
function* quoted(tape: Tape, call: CallWriter, place: Place): Wait<boolean> {
  if (yield* tape.take(quote)) yield* text(tape, call, place)
  else if (yield* tape.lookingAt('"')) yield* scanJson(tape, json => call.write(json))
  else if (yield* tape.take("'")) yield* pythonText(tape, call)
  else return false
  return true
}

const plain = /[^<]+/y

/** A string up to its closing quote. The quote inside it is a `"`. */
function* text(tape: Tape, call: CallWriter, place: Place): Wait<void> {
  call.write('"')
  for (;;) {
    const part = tape.advanceOver(plain)
    if (part !== '') call.write(escapeJson(part))
    else if (yield* tape.take(quote)) {
      if (yield* isClosing(tape, place)) break
      call.write('\\"')
    } else {
      const character = yield* tape.peek()
      if (character === '') throw new MalformedCall()
      tape.advance()
      call.write(escapeJson(character))
    }
  }
  call.write('"')
}

/** Whether the format can go on after the quote before the cursor; if not, it belongs to the string. */
function* isClosing(tape: Tape, place: Place): Wait<boolean> {
  const from = tape.offset
  yield* tape.skipSpace()
  const next = yield* tape.peek()
  tape.advance()
  let isClosing = next === '' || (place === 'key' && (next === ':' || next === '='))
  if (place !== 'key' && (next === '}' || next === ']')) {
    yield* tape.skipSpace()
    const after = yield* tape.peek()
    isClosing = /^[,}\]]?$/.test(after) || (yield* tape.lookingAt('<tool_call|>'))
  } else if (place === 'item' && next === ',') {
    yield* tape.skipSpace()
    isClosing = /^[\d"'{[tfn-]?$/.test(yield* tape.peek()) || (yield* tape.lookingAt(quote))
  } else if (place === 'member' && next === ',') {
    yield* tape.skipSpace()
    isClosing = yield* isKey(tape)
  }
  tape.rewind(from)
  return isClosing
}

function* isKey(tape: Tape): Wait<boolean> {
  const isQuoted = yield* tape.take(quote)
  yield* until(tape, /[^\w."' -]/)
  if (isQuoted) yield* tape.take(quote)
  return /^[:=]?$/.test(yield* tape.peek())
}

/** A string in single quotes, after the first. */
function* pythonText(tape: Tape, call: CallWriter): Wait<void> {
  call.write('"')
  while (!(yield* tape.take("'"))) {
    const isEscaped = yield* tape.take('\\')
    const character = yield* tape.peek()
    if (character === '') throw new MalformedCall()
    tape.advance()
    if (!isEscaped) call.write(escapeJson(character))
    else call.write(/["\\/bfnrtu]/.test(character) ? `\\${character}` : escapeJson(character))
  }
  call.write('"')
}

/** A number, `true`, `false` or `null`; anything else is a string without quotes. */
function* word(tape: Tape, call: CallWriter): Wait<void> {
  const word = (yield* until(tape, /[,}\]<\n]/)).trim()
  if (word === '' || (yield* tape.peek()) === '') throw new MalformedCall()
  call.write(jsonFromText(word, undefined))
}

function* until(tape: Tape, stop: RegExp): Wait<string> {
  let text = ''
  for (;;) {
    const character = yield* tape.peek()
    if (character === '' || stop.test(character)) return text
    text += character
    tape.advance()
  }
}
