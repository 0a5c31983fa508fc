// Brings a fresh clone to the point where it runs: dependencies, a current Node, the native addon. Runs on any Node >= 20
// before anything is installed, so it uses nothing but Node's own modules.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The first Node that strips types without a flag and is still maintained. */
const MIN_NODE = 24

/** Thrown for everything a user can mend; the message is the whole story. */
export class SetupError extends Error {}

function log(message) {
  process.stderr.write(`[setup] ${message}\n`)
}

function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** `npm ci` when package-lock.json is not the one that node_modules was installed from. */
function installDependencies() {
  const stamp = join(root, 'node_modules', '.mistralrs-lock')
  const want = sha256(join(root, 'package-lock.json'))
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return
  log('installing dependencies (npm ci) ...')
  const started = Date.now()
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    // The `node` package is installed for its binary; EBADENGINE warnings of the others are about the Node it replaces.
    env: { ...process.env, npm_config_engine_strict: 'false' },
  })
  if (result.error) throw new SetupError(`npm could not be started: ${result.error.message}`)
  if (result.status !== 0) throw new SetupError(`npm ci failed with exit code ${result.status}`)
  writeFileSync(stamp, want)
  log(`dependencies installed in ${seconds(started)}`)
}

/** Makes `npx mistralrs` find the command of this very checkout. */
function linkCommand() {
  const link = join(root, 'node_modules', '.bin', 'mistralrs')
  if (existsSync(link)) return
  rmSync(link, { force: true })
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(join('..', '..', 'bin', 'mistralrs.mjs'), link)
}

/** The Node to run the project with: this one if new enough, else the one from the npm package `node`. */
export function nodeBinary() {
  if (Number(process.versions.node.split('.')[0]) >= MIN_NODE) return process.execPath
  const packaged = join(root, 'node_modules', 'node', 'bin', 'node')
  if (existsSync(packaged)) return packaged
  throw new SetupError(
    `Node ${process.versions.node} is too old: the project needs Node ${MIN_NODE} or newer, and the npm package ` +
      '`node` that carries one is not installed here (its install script may have been blocked).',
  )
}

/** process.env with the project's Node and commands first in PATH. */
export function projectEnv() {
  const path = [dirname(nodeBinary()), join(root, 'node_modules', '.bin'), process.env.PATH ?? '']
  return { ...process.env, PATH: path.join(delimiter) }
}

function seconds(started) {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`
}

/**
 * Sets up whatever is missing and returns the Node binary to go on with.
 * @param {{ tests?: boolean }} options `tests`: build the native tests too
 */
export async function setup({ tests = false } = {}) {
  installDependencies()
  linkCommand()
  const node = nodeBinary()
  const { buildNative } = await import('./buildNative.mjs')
  try {
    await buildNative({ tests, log })
  } catch (cause) {
    throw new SetupError(cause.message, { cause })
  }
  return node
}

/** Fetches the model that is served without `-m`, if it is not there yet. @returns whether it is there now */
export function fetchDefaultModel(node) {
  const script = join(root, 'scripts', 'fetchDefaultModel.ts')
  return spawnSync(node, [script], { stdio: 'inherit', env: projectEnv() }).status === 0
}

/** Runs `main` and returns its exit code; a SetupError becomes one line and exit code 1. */
export async function runScript(main) {
  try {
    return await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`Error: ${error.message}\n`)
    return 1
  }
}

/**
 * Runs the project's Node as a child in the foreground and returns its exit code. A terminal signals the whole process
 * group, a supervisor only us: so signals are passed on unless the terminal has already done it.
 */
export function runChild(node, args) {
  const child = spawn(node, args, { stdio: 'inherit', env: projectEnv() })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}
