import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { ChatMessage, Engine, GenerateJob, SamplingOptions } from '../../edge/engine.ts'
import { describeUsage, runTurn } from './chatTurn.ts'
import { DEMO_NOTICE, findModel, loadEngine } from './loadEngine.ts'
import { createLog } from './log.ts'
import { addModelOptions, type ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'

interface RunOptions extends ModelOptions {
  input?: string
  thinking?: boolean
}

/** `mistralrs run`: a chat in the terminal, or one answer with `-i`. */
export function runCommand(program: Command): void {
  addModelOptions(program.command('run'))
    .description('chat in the terminal, or answer once with -i')
    .option('-i, --input <text>', 'one request: print the answer and exit')
    .option('--thinking', 'ask the template for reasoning')
    .option('--no-thinking', 'ask the template for none')
    .action(async (options: RunOptions) => {
      const log = createLog(options.verbose > 0 ? 'debug' : 'warn', process.stderr)
      const progress = createProgress(process.stderr, log.info)
      const model = await findModel(options, log, progress)
      const engine = await loadEngine(model, options, log, progress)
      try {
        const chat = new Chat(engine, options)
        if (options.input !== undefined) await answerOnce(chat, options.input)
        else await converse(chat, model.isDefault ? DEMO_NOTICE : undefined)
      } finally {
        await engine.dispose()
      }
    })
}

async function answerOnce(chat: Chat, input: string): Promise<void> {
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  const { usage, completed } = await chat.say(input, abort.signal)
  process.stdout.write('\n')
  if (usage !== undefined && process.stderr.isTTY) process.stderr.write(`${describeUsage(usage)}\n`)
  if (!completed) process.exitCode = 130
}

async function converse(chat: Chat, notice: string | undefined): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  let running: AbortController | undefined
  terminal.on('SIGINT', () => {
    if (running === undefined) terminal.close()
    else running.abort()
  })
  if (notice !== undefined) process.stdout.write(`${notice}\n`)
  process.stdout.write(`${HELP}\n`)
  terminal.setPrompt('> ')
  terminal.prompt()
  for await (const line of terminal) {
    const text = line.trim()
    if (text === '/exit') break
    if (text.startsWith('/')) {
      process.stdout.write(`${chat.command(text)}\n`)
    } else if (text !== '') {
      running = new AbortController()
      try {
        const { usage } = await chat.say(text, running.signal)
        process.stdout.write(
          usage === undefined ? '\n(stopped)\n' : `\n(${describeUsage(usage)})\n`,
        )
      } catch (error) {
        process.stdout.write(`\nError: ${error instanceof Error ? error.message : String(error)}\n`)
      }
      running = undefined
    }
    terminal.prompt()
  }
  terminal.close()
}

const HELP = `Type a message, or:
  /system <text>        set the system message (empty: none)
  /clear                forget the conversation
  /temperature <0..2>   /topk <n>   /topp <0..1]
  /help                 /exit       Ctrl-C stops an answer, at an empty prompt it leaves`

/** One conversation and its settings. */
class Chat {
  readonly #engine: Engine
  readonly #options: RunOptions
  #system = ''
  #turns: ChatMessage[] = []
  #sampling: SamplingOptions = {}

  constructor(engine: Engine, options: RunOptions) {
    this.#engine = engine
    this.#options = options
    if (options.seed !== undefined) this.#sampling.seed = options.seed
  }

  /** Adds a user turn, prints the answer as it comes and keeps both, unless the engine refuses the job. */
  async say(text: string, signal: AbortSignal) {
    const user: ChatMessage = { role: 'user', content: text }
    const system: ChatMessage[] = this.#system ? [{ role: 'system', content: this.#system }] : []
    const job: GenerateJob = {
      model: 'default',
      prompt: {
        kind: 'chat',
        messages: [...system, ...this.#turns, user],
        ...(this.#options.thinking !== undefined && {
          templateOptions: { enable_thinking: this.#options.thinking },
        }),
      },
      n: 1,
      sampling: this.#sampling,
      stop: [],
    }
    const result = await runTurn(this.#engine, job, signal, piece => process.stdout.write(piece))
    this.#turns.push(user, { role: 'assistant', content: result.text })
    return result
  }

  /** Applies a `/command` and returns what to print. */
  command(line: string): string {
    const [name = '', ...rest] = line.split(/\s+/)
    const argument = rest.join(' ')
    switch (name) {
      case '/help':
        return HELP
      case '/system':
        this.#system = argument
        return argument ? 'System message set.' : 'System message removed.'
      case '/clear':
        this.#turns = []
        return 'Conversation cleared.'
      case '/temperature':
        return this.#setNumber('temperature', argument, value => value >= 0 && value <= 2, '0 to 2')
      case '/topk':
        return this.#setNumber('topK', argument, n => Number.isInteger(n) && n >= 1, 'at least 1')
      case '/topp':
        return this.#setNumber(
          'topP',
          argument,
          value => value > 0 && value <= 1,
          'above 0, up to 1',
        )
      default:
        return `Unknown command ${name}.\n${HELP}`
    }
  }

  #setNumber(
    field: 'temperature' | 'topK' | 'topP',
    text: string,
    valid: (value: number) => boolean,
    range: string,
  ): string {
    const value = Number(text)
    if (text === '' || !valid(value)) return `${field} must be ${range}.`
    this.#sampling = { ...this.#sampling, [field]: value }
    return `${field} is ${value}.`
  }
}
