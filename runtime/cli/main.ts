import { CommanderError } from 'commander'
import { createProgram } from './commands.ts'

/** Exit codes: 0 success, 1 anything that failed while running, 2 wrong arguments, 75 only a new process can go on (`serverProcess.ts`). */
const EXIT_FAILURE = 1
const EXIT_USAGE = 2
/** What the shell reports for a program whose reader went away (128 + SIGPIPE). */
const EXIT_BROKEN_PIPE = 141

/**
 * Runs the command line. The caller ends the process with the result: handles that are still open must not keep it alive.
 * @param argv without node and script
 * @returns the exit code
 */
export async function main(argv: string[]): Promise<number> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE)
    throw error
  })
  const exitCode = await execute(argv)
  // Where pipes are asynchronous, ending the process would cut off what is still on its way.
  await new Promise(resolve => process.stdout.write('', resolve))
  return exitCode
}

async function execute(argv: string[]): Promise<number> {
  let exitCode = 0
  const program = createProgram(async command => {
    exitCode = await command()
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are thrown too; everything else is about the arguments and already on stderr.
      return error.exitCode === 0 ? 0 : EXIT_USAGE
    }
    process.stderr.write(`Error: ${describeError(error)}\n`)
    if (process.env.MISTRALRS_DEBUG === '1') console.error(error)
    return EXIT_FAILURE
  }
}

/** The message and those of its causes, unless they only repeat it. */
function describeError(error: unknown): string {
  const lines: string[] = []
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    const message = at instanceof Error ? at.message : String(at)
    if (!lines.some(line => line.includes(message))) lines.push(message)
  }
  return lines.join('\n  caused by: ')
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
