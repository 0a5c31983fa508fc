import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { styleText } from 'node:util'
import { CHAT_HELP, type Chat } from './chat.ts'
import { describeUsage, type TurnListener } from './chatTurn.ts'

export interface Streams {
  input: Readable
  output: Writable
  errors: Writable
}

const INTERRUPTED = 130

/**
 * A conversation on a terminal, until `/exit`, end of input, or Ctrl-C at an empty prompt.
 * @param notice said first
 */
export async function converseOnTerminal(
  chat: Chat,
  { input, output }: Streams,
  notice?: string,
): Promise<number> {
  const terminal = createInterface({ input, output, terminal: true, prompt: '> ' })
  let running: AbortController | undefined
  terminal.on('SIGINT', () => {
    if (running !== undefined) running.abort()
    else if (terminal.line === '') terminal.close()
    else terminal.write(null, { ctrl: true, name: 'u' }) // clears the line
  })
  if (notice !== undefined) output.write(`${notice}\n`)
  output.write(`${CHAT_HELP}\n`)
  terminal.prompt()
  let isLeft = false
  for await (const line of terminal) {
    const text = line.trim()
    isLeft = text === '/exit'
    if (isLeft) break
    if (text.startsWith('/')) {
      output.write(`${chat.command(text)}\n`)
    } else if (text !== '') {
      running = new AbortController()
      try {
        const { usage } = await chat.say(text, running.signal, dimReasoning(output))
        output.write(usage === undefined ? '\n(stopped)\n' : `\n(${describeUsage(usage)})\n`)
      } catch (error) {
        output.write(`\nError: ${message(error)}\n`)
      }
      running = undefined
    }
    terminal.prompt()
  }
  terminal.close()
  if (!isLeft) output.write('\n') // the prompt is still there
  return 0
}

/**
 * A conversation of which each line of input is a message or a command: answers go to `output` and nothing else.
 * @returns 1 when any message failed, 130 when `signal` ended it
 */
export async function converseByLine(
  chat: Chat,
  { input, output, errors }: Streams,
  signal: AbortSignal,
): Promise<number> {
  let exitCode = 0
  for await (const line of createInterface({ input, signal })) {
    const text = line.trim()
    if (text === '/exit') break
    if (text.startsWith('/')) {
      errors.write(`${chat.command(text)}\n`)
    } else if (text !== '') {
      try {
        await chat.say(text, signal, { onText: piece => output.write(piece) })
        output.write('\n')
      } catch (error) {
        errors.write(`Error: ${message(error)}\n`)
        exitCode = 1
      }
    }
    if (signal.aborted) break
  }
  return signal.aborted ? INTERRUPTED : exitCode
}

/** One message and its answer. */
export async function answerOnce(
  chat: Chat,
  text: string,
  { output, errors }: Streams,
  signal: AbortSignal,
): Promise<number> {
  const { usage } = await chat.say(text, signal, { onText: piece => output.write(piece) })
  output.write('\n')
  if (usage === undefined) return INTERRUPTED
  if ('isTTY' in errors && errors.isTTY) errors.write(`(${describeUsage(usage)})\n`)
  return 0
}

/** Shows reasoning too, apart from the answer. */
function dimReasoning(output: Writable): TurnListener {
  let isReasoning = false
  return {
    onReasoning: piece => {
      isReasoning = true
      output.write(styleText('dim', piece, { validateStream: false }))
    },
    onText: piece => {
      if (isReasoning) output.write('\n\n')
      isReasoning = false
      output.write(piece)
    },
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
