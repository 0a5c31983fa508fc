import { Command, CommanderError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { benchCommand } from './bench.ts'
import { planCommand } from './plan.ts'
import { runCommand } from './run.ts'
import { serveCommand } from './serve.ts'

/** Exit codes: 0 success, 1 anything that failed while running, 2 wrong arguments. */
const EXIT_FAILURE = 1
const EXIT_USAGE = 2

/**
 * Runs the command line.
 * @param argv without node and script
 * @returns the exit code
 */
export async function main(argv: string[]): Promise<number> {
  const program = new Command('mistralrs')
    .description('Serve a language model with OpenAI-compatible HTTP')
    .version(packageJson.version, '-V, --version')
    .exitOverride()
    .showHelpAfterError()
  // Sub-commands copy these settings when they are made, so they come after them.
  serveCommand(program)
  runCommand(program)
  benchCommand(program)
  planCommand(program)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are thrown too; everything else is about the arguments and already on stderr.
      return error.exitCode === 0 ? 0 : EXIT_USAGE
    }
    process.stderr.write(`Error: ${causes(error)}\n`)
    return EXIT_FAILURE
  }
}

function causes(error: unknown): string {
  const lines: string[] = []
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    const message = at instanceof Error ? at.message : String(at)
    if (!lines.some(line => line.includes(message))) lines.push(message)
  }
  return lines.join('\n  caused by: ')
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
