import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const python = process.env.PYTHON ?? 'python3'
const run = promisify(execFile)

/**
 * Runs one of the Python programs beside this file.
 * @param script for example `openai_python`; what stands before its `_` is the client it needs
 * @returns the names of the checks that passed, or undefined, with the reason printed, where Python lacks the client
 * @throws when a check fails, with its traceback
 */
export async function runPythonChecks(
  script: string,
  ...args: string[]
): Promise<string[] | undefined> {
  const [client] = script.split('_')
  try {
    await run(python, ['-c', `import ${client}`])
  } catch {
    console.log(`skipped: ${python} cannot import ${client}; \`npm test\` installs it`)
    return undefined
  }
  const file = fileURLToPath(new URL(`${script}.py`, import.meta.url))
  const { stdout } = await run(python, [file, ...args])
  return stdout.match(/^ok .*/gm) ?? []
}
