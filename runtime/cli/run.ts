import { Chat, chatSampling } from './chat.ts'
import { answerOnce, converseByLine, converseOnTerminal } from './converse.ts'
import { DEMO_NOTICE, findModel, loadEngine } from './loadEngine.ts'
import { createLog } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'

export interface RunOptions extends ModelOptions {
  input?: string
  thinking?: boolean
}

/** `mistralrs run`: a chat in the terminal, or one answer with `-i`. */
export async function run(options: RunOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'warn', process.stderr)
  const progress = createProgress(process.stderr, log.notice)
  const model = await findModel(options, log, progress)
  const engine = await loadEngine(model, options, log, progress)
  try {
    const { thinking } = options
    const sampling = chatSampling(engine.generation, options.seed)
    const chat = new Chat(engine, { sampling, ...(thinking !== undefined && { thinking }) })
    const streams = { input: process.stdin, output: process.stdout, errors: process.stderr }
    if (options.input === undefined && process.stdin.isTTY) {
      return await converseOnTerminal(chat, streams, model.isDefault ? DEMO_NOTICE : undefined)
    }
    const interrupt = new AbortController()
    process.once('SIGINT', () => interrupt.abort())
    return options.input === undefined
      ? await converseByLine(chat, streams, interrupt.signal)
      : await answerOnce(chat, options.input, streams, interrupt.signal)
  } finally {
    await engine.dispose()
  }
}
