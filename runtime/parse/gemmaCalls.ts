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
  yield* value(tape, call, 0)
  call.end()
  yield* tape.skipSpace()
  if (yield* tape.take('<tool_call|>')) tape.close('call')
}

function* value(tape: Tape, call: CallWriter, depth: number): Wait<void> {
  if (depth > maxDepth) throw new MalformedCall()
  if (yield* tape.take('{')) yield* members(tape, call, depth, '}')
  else if (yield* tape.take('[')) yield* members(tape, call, depth, ']')
  else if (yield* tape.take(quote)) yield* text(tape, call)
  else if (yield* tape.lookingAt('"')) yield* scanJson(tape, json => call.write(json))
  else yield* word(tape, call)
}

/** The inside of an object or list, up to its closing bracket. */
function* members(tape: Tape, call: CallWriter, depth: number, close: '}' | ']'): Wait<void> {
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
    if (close === '}') {
      yield* key(tape, call)
      call.start()
    }
    yield* value(tape, call, depth + 1)
    yield* tape.skipSpace()
  }
  call.write(close)
}

function* key(tape: Tape, call: CallWriter): Wait<void> {
  if (yield* tape.take(quote)) yield* text(tape, call)
  else if (yield* tape.lookingAt('"')) yield* scanJson(tape, json => call.write(json))
  else {
    const name = yield* until(tape, /[:,{}[\]<>"\s]/)
    if (name === '') throw new MalformedCall()
    call.write(`"${escapeJson(name)}"`)
  }
  yield* tape.skipSpace()
  yield* tape.expect(':')
  yield* tape.skipSpace()
  call.write(': ')
}

const plain = /[^<]+/y

/** A string up to its closing quote. */
function* text(tape: Tape, call: CallWriter): Wait<void> {
  call.write('"')
  while (!(yield* tape.take(quote))) {
    if ((yield* tape.peek()) === '') throw new MalformedCall()
    const part = tape.advanceOver(plain)
    if (part === '') tape.advance()
    call.write(escapeJson(part || '<'))
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
