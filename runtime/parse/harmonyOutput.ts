import { attempt } from './callAttempt.ts'
import { MalformedCall, type Tape, type Wait } from './tape.ts'
import { CallWriter, type DeclaredTools, jsonArguments } from './toolCall.ts'

/** Control tokens of the format. `<|return|>` and `<|call|>` end the generation and never get here. */
export const harmonyMarkers = [
  '<|start|>',
  '<|channel|>',
  '<|constrain|>',
  '<|message|>',
  '<|end|>',
  '<|call|>',
]

export interface HarmonyOptions {
  tools: DeclaredTools
  /** False gives the analysis as text. */
  reasoning: boolean
  /** End of the rendered prompt: the header of the message that the output begins in. */
  promptTail: string
}

/**
 * GPT-OSS's format: an output is messages, each with a header that names its channel and recipient.
 *
 * `analysis` is reasoning; `final`, and `commentary` to nobody (a preamble to calls), is text; a message to `functions.name` is a
 * call whatever its channel, since models put calls on `analysis` too. A message to anybody else is text as it is written.
 * Source: https://cookbook.openai.com/articles/openai-harmony
 */
export function* harmonyOutput(tape: Tape, options: HarmonyOptions): Wait<void> {
  const { tools, promptTail } = options
  const message = promptTail.slice(promptTail.lastIndexOf('<|start|>') + 1)
  const headerEnd = message.lastIndexOf('<|message|>')
  if (headerEnd >= 0) yield* body(tape, kindOf(readHeader(message.slice(0, headerEnd)), options))
  while ((yield* tape.peek()) !== '') {
    if (yield* endOfMessage(tape)) {
      tape.skip()
      continue
    }
    const from = tape.offset
    const header = yield* messageHeader(tape)
    if (header === undefined) {
      tape.rewind(from)
      // A marker that begins no message is passed as text.
      tape.advance()
      yield* body(tape, 'text')
    } else if (header.recipient === undefined) {
      tape.skip()
      yield* body(tape, kindOf(header, options))
    } else {
      const isCall = yield* attempt(tape, call(tape, header.recipient, tools), bounds)
      if (!isCall) yield* body(tape, 'text')
    }
  }
}

const bounds = {
  openers: [{ text: '<|start|>' }, { text: '<|channel|>' }],
  closers: ['<|end|>', '<|call|>'],
}

interface Header {
  channel: string
  recipient: string | undefined
}

/** Moves over `<|start|>role<|channel|>name to=recipient <|constrain|>type<|message|>`; undefined where this is no header. */
function* messageHeader(tape: Tape): Wait<Header | undefined> {
  const from = tape.offset
  const isStart = yield* tape.take('<|start|>')
  // The prompt ends in `<|start|>assistant`: the first header lacks that.
  if (!isStart && !(yield* tape.lookingAt('<|channel|>')) && !(yield* tape.lookingAt(' to='))) {
    return undefined
  }
  while (!(yield* tape.take('<|message|>'))) {
    if ((yield* tape.take('<|channel|>')) || (yield* tape.take('<|constrain|>'))) continue
    const character = yield* tape.peek()
    // Cut inside a header: nothing was said.
    if (character === '') return { channel: '', recipient: undefined }
    if (!/[\w .=-]/.test(character)) return undefined
    tape.advance()
  }
  return readHeader(tape.since(from))
}

function readHeader(text: string): Header {
  const [, channel = ''] = /<\|channel\|>(\w+)/.exec(text) ?? []
  return { channel, recipient: / to=([\w.-]+)/.exec(text)?.[1] }
}

function kindOf({ channel }: Header, { reasoning }: HarmonyOptions): 'text' | 'reasoning' {
  return reasoning && channel === 'analysis' ? 'reasoning' : 'text'
}

/** @throws MalformedCall for a recipient that is no declared tool */
function* call(tape: Tape, recipient: string, tools: DeclaredTools): Wait<void> {
  const name = recipient.replace(/^functions\./, '')
  if (!tools.has(name)) throw new MalformedCall()
  const writer = new CallWriter(tape, name)
  yield* tape.skipSpace()
  yield* jsonArguments(tape, writer)
  writer.end()
}

const plain = /[^<]+/y

/** Gives everything up to the next marker that ends a message or begins one. */
function* body(tape: Tape, kind: 'text' | 'reasoning'): Wait<void> {
  while (
    (yield* tape.peek()) !== '' &&
    !(yield* tape.lookingAt('<|start|>')) &&
    !(yield* tape.lookingAt('<|channel|>'))
  ) {
    if (yield* endOfMessage(tape)) {
      if (kind === 'reasoning') tape.close(kind)
      else tape.skip()
      return
    }
    if (tape.advanceOver(plain) === '') tape.advance()
    tape.give(kind)
  }
}

/** Moves over the end of a message. */
function* endOfMessage(tape: Tape): Wait<boolean> {
  return (yield* tape.take('<|end|>')) || (yield* tape.take('<|call|>'))
}
