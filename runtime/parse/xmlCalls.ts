import type { JsonObject } from '../../edge/engine.ts'
import { escapeJson } from './jsonScanner.ts'
import { MalformedCall, type Tape, type Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, toolName } from './toolCall.ts'
import { jsonFromText, parameterSchema, typesOf } from './typedValue.ts'

/** How a format writes the arguments of a call between tags. */
export interface XmlSyntax {
  /** Around the name of a parameter. */
  key: { open: string; close: string }
  /** Around its value. */
  value: { open: string; close: string }
  /** What ends the arguments, one of these. */
  ends: string[]
  /** A newline after `value.open` and one before `value.close` are not part of the value. */
  valueOnOwnLine: boolean
}

/** `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`: Qwen3-Coder, Qwen 3.5. */
const qwen: XmlSyntax = {
  key: { open: '<parameter=', close: '>' },
  value: { open: '', close: '</parameter>' },
  // Of the two that end a call, one may be missing.
  ends: ['</function>', '</tool_call>'],
  valueOnOwnLine: true,
}

/** `<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>`: GLM 4.5 and later. */
const glm: XmlSyntax = {
  key: { open: '<arg_key>', close: '</arg_key>' },
  value: { open: '<arg_value>', close: '</arg_value>' },
  ends: ['</tool_call>'],
  valueOnOwnLine: false,
}

/** Qwen3-Coder now and then leaves out `<tool_call>`. */
export function* qwenXmlCall(tape: Tape, tools: DeclaredTools): Wait<void> {
  if (yield* tape.take('<tool_call>')) yield* tape.skipSpace()
  yield* tape.expect('<function=')
  const name = yield* toolName(tape, tools)
  yield* tape.expect('>')
  yield* xmlArguments(tape, name, tools.get(name), qwen)
  yield* tape.skipSpace()
  if (yield* tape.take('</tool_call>')) tape.close('call')
}

export function* glmCall(tape: Tape, tools: DeclaredTools): Wait<void> {
  yield* tape.expect('<tool_call>')
  yield* tape.skipSpace()
  const name = yield* toolName(tape, tools)
  yield* xmlArguments(tape, name, tools.get(name), glm)
}

/** Arguments between tags as one JSON object, in the types of the tool's schema; strings stream. */
function* xmlArguments(
  tape: Tape,
  name: string,
  schema: JsonObject | undefined,
  syntax: XmlSyntax,
): Wait<void> {
  const call = new CallWriter(tape, name)
  call.write('{')
  let separator = ''
  for (;;) {
    yield* tape.skipSpace()
    if (yield* isEnd(tape, syntax)) break
    yield* tape.expect(syntax.key.open)
    const key = yield* parameterName(tape, syntax.key.close)
    yield* valueStart(tape, syntax)
    call.write(`${separator}"${escapeJson(key)}": `)
    call.start()
    separator = ', '
    yield* xmlValue(tape, call, parameterSchema(schema, key), syntax)
  }
  call.end('}')
}

/** Moves over the end of the arguments. */
function* isEnd(tape: Tape, { ends }: XmlSyntax): Wait<boolean> {
  for (const end of ends) if (yield* tape.take(end)) return true
  return false
}

function* parameterName(tape: Tape, close: string): Wait<string> {
  let name = ''
  while (!(yield* tape.take(close))) {
    const character = yield* tape.peek()
    // A name holds no space and no tag: beyond that the closing is missing.
    if (character === '' || /[\s<>]/.test(character)) throw new MalformedCall()
    name += character
    tape.advance()
  }
  if (name === '') throw new MalformedCall()
  return name
}

/** Moves over the opening tag of a value, which GLM 4.7 now and then leaves out. */
function* valueStart(tape: Tape, { value: { open } }: XmlSyntax): Wait<void> {
  if (open === '') return
  const from = tape.offset
  yield* tape.skipSpace()
  if (yield* tape.take(open)) return
  if ((yield* tape.peek()) === '<') throw new MalformedCall()
  tape.rewind(from)
}

/** Nothing else begins or ends in the text of a value. */
const plain = /[^<\r\n]+/y

function* xmlValue(
  tape: Tape,
  call: CallWriter,
  schema: JsonObject | undefined,
  syntax: XmlSyntax,
): Wait<void> {
  const types = typesOf(schema)
  const isString = types?.length === 1 && types[0] === 'string'
  let text = ''
  const take = (part: string) => {
    if (isString) call.write(escapeJson(part))
    else text += part
  }
  if (syntax.valueOnOwnLine) yield* newline(tape)
  if (isString) call.write('"')
  while (!(yield* valueEnd(tape, syntax))) {
    const part = tape.advanceOver(plain)
    if (part !== '') take(part)
    else {
      const character = yield* tape.peek()
      if (character === '') {
        // Cut short: what there is goes out, its type will never be known.
        if (!isString) call.write(text)
        throw new MalformedCall()
      }
      tape.advance()
      take(character)
    }
  }
  call.write(isString ? '"' : jsonFromText(text, types))
}

/** Moves over the end of a value; a closing tag inside the value is one that nothing fitting follows. */
function* valueEnd(tape: Tape, syntax: XmlSyntax): Wait<boolean> {
  const { key, value, valueOnOwnLine } = syntax
  const start = tape.offset
  if (valueOnOwnLine) yield* newline(tape)
  if (yield* tape.take(value.close)) {
    const after = tape.offset
    yield* tape.skipSpace()
    const canGoOn =
      (yield* tape.peek()) === '' ||
      (yield* tape.lookingAt(key.open)) ||
      (yield* isEnd(tape, syntax))
    tape.rewind(canGoOn ? after : start)
    return canGoOn
  }
  tape.rewind(start)
  return false
}

function* newline(tape: Tape): Wait<void> {
  if (!(yield* tape.take('\r\n'))) yield* tape.take('\n')
}
