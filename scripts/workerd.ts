import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { WorkerEnv } from '../edge/worker.ts'

/** One source for both ways to run the Worker. */
const settings = readFileSync(new URL('../wrangler.toml', import.meta.url), 'utf8')

export interface WorkerdOptions {
  /** One module. */
  code: string
  env: Omit<WorkerEnv, 'RESPONSES' | 'ASSETS'>
  /** Folder of static files. */
  assets?: string
  host?: string
  /** 0 takes a free one. */
  port?: number
  onLine: (line: string) => void
}

export interface Workerd {
  port: number
  child: ChildProcess
  close(): Promise<void>
}

/** Starts the Workers runtime of this machine with one Worker. @throws Error when it ends before it listens */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const binary: string = createRequire(import.meta.url)('workerd').default
  const folder = mkdtempSync(join(tmpdir(), 'mistralrs-workerd-'))
  writeFileSync(join(folder, 'worker.js'), options.code)
  writeFileSync(join(folder, 'config.capnp'), configText(options))
  const child = spawn(binary, ['serve', 'config.capnp', '--control-fd=3'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  }).finally(() => rmSync(folder, { recursive: true, force: true }))
  const lines: string[] = []
  const [, stdout, stderr, control] = child.stdio
  for (const stream of [stdout, stderr]) {
    createInterface(stream as Readable).on('line', line => {
      lines.push(line)
      options.onLine(line)
    })
  }
  const listening = new Promise<number>(resolve => {
    createInterface(control as Readable).on('line', line => {
      const { event, port } = JSON.parse(line) as { event: string; port: number }
      if (event === 'listen') resolve(port)
    })
  })
  const early = ended.then(() => {
    throw new Error(`workerd ended:\n${lines.join('\n')}`)
  })
  return {
    port: await Promise.race([listening, early]),
    child,
    async close() {
      early.catch(() => {})
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Cap'n Proto text, the language of workerd's configuration; its strings are written like JSON's. */
function configText({ env, assets, host = '127.0.0.1', port = 0 }: WorkerdOptions): string {
  const bindings = Object.entries(env).map(
    ([name, text]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)})`,
  )
  bindings.push('(name = "RESPONSES", durableObjectNamespace = "StoredResponseObject")')
  if (assets !== undefined) bindings.push('(name = "ASSETS", service = "assets")')
  const disk = `(name = "assets", disk = (path = ${JSON.stringify(assets)})),`
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "network", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    ${assets === undefined ? '' : disk}
  ],
  sockets = [(name = "http", address = ${JSON.stringify(`${host}:${port}`)}, http = (), service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${setting('compatibility_date')},
  compatibilityFlags = ${setting('compatibility_flags')},
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [(className = "StoredResponseObject", uniqueKey = "responses")],
  durableObjectStorage = (inMemory = void),
  globalOutbound = "network",
);
`
}

/** A value of wrangler.toml as it stands there: strings and lists of strings are written alike in both languages. */
function setting(name: string): string {
  const value = new RegExp(`^${name} = (.+)$`, 'm').exec(settings)?.[1]
  if (value === undefined) throw new Error(`wrangler.toml has no ${name}`)
  return value
}
