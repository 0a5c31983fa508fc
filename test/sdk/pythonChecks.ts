import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scriptedModel } from '../../edge/scriptedEngine.ts'
import { listenScripted } from '../http/nodeServer.ts'

const python = process.env.PYTHON ?? 'python3'
const run = promisify(execFile)

/**
 * Runs `<client>_python.py` against a scripted server.
 * @returns the names of the checks that passed, or undefined, with the reason printed, where Python lacks the client
 * @throws when a check fails, with its traceback
 */
export async function runPythonChecks(
  client: 'openai' | 'anthropic',
  baseUrl: (server: { origin: string }) => string,
): Promise<string[] | undefined> {
  try {
    await run(python, ['-c', `import ${client}`])
  } catch {
    console.log(`skipped: ${python} cannot import ${client}; set PYTHON to one that can`)
    return undefined
  }
  const script = fileURLToPath(new URL(`${client}_python.py`, import.meta.url))
  const server = await listenScripted()
  try {
    const { stdout } = await run(python, [script, baseUrl(server), scriptedModel.id])
    return stdout.match(/^ok .*/gm) ?? []
  } finally {
    await server.close()
  }
}
