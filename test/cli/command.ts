import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEFAULT_MODEL, modelFolder } from '../../runtime/hub/defaultModel.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const main = join(root, 'runtime/cli/main.ts')
export const goldens = join(root, 'test/goldens')
export const tinyModel = join(goldens, 'llama')

export interface Ended {
  /** Exit code, or the name of the signal that ended it. */
  code: number | string
  stdout: string
  stderr: string
}

/** A child process and what it has printed so far. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''

  constructor(
    command: string,
    args: string[],
    options: { env?: NodeJS.ProcessEnv; input?: string } = {},
  ) {
    const env = { ...process.env, NO_COLOR: '1', ...options.env }
    this.child = spawn(command, args, { cwd: root, env, stdio: 'pipe' })
    this.child.stdout?.setEncoding('utf8').on('data', text => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', text => {
      this.stderr += text
    })
    // undefined leaves standard input open.
    if (options.input !== undefined) this.child.stdin?.end(options.input)
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject)
      this.child.on('close', (code, signal) => {
        resolve({ code: code ?? signal ?? '', stdout: this.stdout, stderr: this.stderr })
      })
    })
  }

  /** Waits for a line on stdout. @throws Error when the process ends without it */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    for (let isRunning = true; ; ) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      if (!isRunning) throw new Error(`ended without ${pattern}:\n${this.stdout}${this.stderr}`)
      isRunning = await Promise.race([
        new Promise<boolean>(resolve => setTimeout(() => resolve(true), 10)),
        this.ended.then(() => false),
      ])
    }
  }

  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }
}

/** Runs `mistralrs ARGS` to its end. */
export function mistralrs(
  args: string[],
  options: { env?: NodeJS.ProcessEnv; input?: string } = {},
) {
  return new Running(process.execPath, [main, ...args], { input: '', ...options }).ended
}

export interface RunningServer extends Running {
  /** Of the HTTP server, on this machine. */
  origin: string
}

/** Starts a server on a free port and waits until it is ready. */
export async function startServer(
  args: string[],
  [command, ...before]: [string, ...string[]] = [process.execPath, main, 'serve'],
): Promise<RunningServer> {
  // In memory, so that tests leave nothing with what their user keeps.
  const options = ['--host', '127.0.0.1', '--port', '0', '--response-store', 'memory']
  const running = new Running(command, [...before, ...options, ...args])
  const [, port] = await running.waitFor(/Server listening on http:\/\/127\.0\.0\.1:(\d+)\n/)
  return Object.assign(running, { origin: `http://127.0.0.1:${port}` })
}

/** Starts `mistralrs ARGS`, whichever command of those that listen, on a free port and waits until it is ready. */
export async function startListening(...args: string[]): Promise<Running & { url: string }> {
  const running = new Running(process.execPath, [
    main,
    ...args,
    ...['--host', '127.0.0.1', '--port', '0'],
  ])
  const [, url = ''] = await running.waitFor(/(?:Server|Container) listening on (\S+)\n/)
  return Object.assign(running, { url })
}

/** Whether tests of the default model can run; says why not. */
export function hasDefaultModel(): boolean {
  const path = join(modelFolder(), DEFAULT_MODEL.file)
  if (existsSync(path)) return true
  console.log(`skipped: ${path} is not there; \`npm run setup\` fetches it`)
  return false
}

export function chatRequest(body: object): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'default',
      messages: [{ role: 'user', content: 'Hello' }],
      ...body,
    }),
  }
}
