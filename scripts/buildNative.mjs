// Builds the addon into build/native. Plain JavaScript without dependencies: it runs on any Node from 20 on.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'native')

/**
 * Configures and builds native/ unless the result is newer than every source; then it returns within milliseconds.
 * @param {{ tests?: boolean, sanitize?: string, log?: (line: string) => void }} [options] `tests` also builds the
 *   native_tests_* executables; `sanitize` (such as `address,undefined`) builds into a folder of its own
 * @returns {Promise<{ folder: string, built: boolean }>} where the binaries lie, and whether anything had to be done
 * @throws Error when cmake or a C++ compiler is missing, or the build fails (message ends with the compiler's output)
 */
export async function buildNative({ tests = false, sanitize = '', log = console.error } = {}) {
  const folder = join(
    root,
    'build',
    sanitize ? `native-${sanitize.replaceAll(',', '-')}` : 'native',
  )
  const stampFile = join(folder, '.built.json')
  const stamp = sourceStamp(sanitize)
  if (isBuilt(stampFile, stamp, tests, folder)) return { folder, built: false }

  requireTool('cmake', ['--version'], 'CMake 3.22 or newer: apt install cmake, brew install cmake')
  if (!process.env.CXX && !hasTool('c++') && !hasTool('g++') && !hasTool('clang++')) {
    throw new Error(
      'building native/ needs a C++20 compiler: apt install g++, or xcode-select --install',
    )
  }
  mkdirSync(folder, { recursive: true })
  const unlock = await lock(join(folder, '.lock'), log)
  try {
    if (isBuilt(stampFile, stamp, tests, folder)) return { folder, built: true } // by who held the lock
    const started = Date.now()
    log('Building the native addon (the first time takes two minutes on two cores, with CUDA four)')
    const configure = ['-S', source, '-B', folder, '-DCMAKE_BUILD_TYPE=Release']
    if (!existsSync(join(folder, 'CMakeCache.txt')) && hasTool('ninja')) {
      configure.push('-G', 'Ninja')
    }
    configure.push(`-DMISTRALRS_TESTS=${tests ? 'ON' : 'OFF'}`, `-DMISTRALRS_SANITIZE=${sanitize}`)
    configure.push(`-DMISTRALRS_NODE_MODULES=${nodeModules()}`)
    await run('cmake', configure, () => {})
    const build = ['--build', folder, '--parallel', String(availableParallelism())]
    await run('cmake', build, progress(log))
    writeFileSync(stampFile, JSON.stringify({ stamp, tests }))
    log(`Built the native addon in ${((Date.now() - started) / 1000).toFixed(1)} s`)
    return { folder, built: true }
  } finally {
    unlock()
  }
}

/**
 * Waits until no other process builds into the folder: two commands started at once on a fresh clone would otherwise write the
 * same objects. Who holds the lock touches it every second; one left untouched for ten belonged to a process that was killed.
 */
async function lock(path, log) {
  for (let waiting = false; ; waiting = true) {
    try {
      writeFileSync(path, '', { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > 10_000) rmSync(path, { force: true })
    else if (!waiting) log('Waiting for another process that builds the native addon')
    await new Promise(resolve => setTimeout(resolve, 300))
  }
  const touch = setInterval(() => {
    const now = new Date()
    if (existsSync(path)) utimesSync(path, now, now)
  }, 1000)
  return () => {
    clearInterval(touch)
    rmSync(path, { force: true })
  }
}

/** Hash over path, size and mtime of every source: far cheaper than starting a build tool to learn that nothing changed. */
function sourceStamp(sanitize) {
  const hash = createHash('sha256').update(`${sanitize}\0${process.env.CXX ?? ''}\0`)
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(cc|h|cu|cuh|inc|txt)$/.test(entry.name)) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const { size, mtimeMs } = statSync(path)
    hash.update(`${path}\0${size}\0${mtimeMs}\0`)
  }
  return hash.digest('hex')
}

function isBuilt(stampFile, stamp, tests, folder) {
  if (!existsSync(join(folder, 'mistralrs.node'))) return false
  try {
    const last = JSON.parse(readFileSync(stampFile, 'utf8'))
    return last.stamp === stamp && (last.tests || !tests)
  } catch {
    return false // never built, or a stamp cut short
  }
}

/** The folder that holds node-addon-api: ours, or the one of the package that installed us. */
function nodeModules() {
  for (let folder = root; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules')
    if (existsSync(join(candidate, 'node-addon-api', 'napi.h'))) return candidate
    if (dirname(folder) === folder) {
      throw new Error(
        'building native/ needs the packages node-addon-api and node-api-headers: run npm install',
      )
    }
  }
}

function hasTool(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0
}

function requireTool(name, args, hint) {
  if (spawnSync(name, args, { stdio: 'ignore' }).status !== 0) {
    throw new Error(`building native/ needs ${hint}`)
  }
}

/** A build tool's `[3/40]` or `[ 7%]` counters: on a terminal one line that changes, elsewhere a line for each quarter. */
function progress(log) {
  const { stderr } = process
  let quarter = 0
  return line => {
    const [, done, total = 100] = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line) ?? []
    if (done === undefined) return
    const share = done / total
    if (stderr.isTTY) {
      stderr.write(`\r\x1b[KBuilding the native addon: ${done}/${total}${share >= 1 ? '\n' : ''}`)
    } else if (Math.floor(4 * share) > quarter && share < 1) {
      quarter = Math.floor(4 * share)
      log(`Building the native addon: ${Math.round(100 * share)} %`)
    }
  }
}

function run(command, args, onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const lines = []
    for (const stream of [child.stdout, child.stderr]) {
      let rest = ''
      stream.setEncoding('utf8').on('data', chunk => {
        const parts = (rest + chunk).split('\n')
        rest = parts.pop() ?? ''
        for (const line of parts) {
          lines.push(line)
          onLine(line)
        }
      })
    }
    child.on('error', reject)
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(undefined)
      const output = lines.filter(line => !/^\[\d+\/\d+\] Building/.test(line)).slice(-60)
      reject(new Error(`${command} ${args[0]} failed (${signal ?? status}):\n${output.join('\n')}`))
    })
  })
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const sanitize = process.argv
    .find(arg => arg.startsWith('--sanitize='))
    ?.slice('--sanitize='.length)
  try {
    const { folder, built } = await buildNative({
      tests: process.argv.includes('--tests'),
      sanitize,
    })
    if (!built) console.error(`${folder} is up to date`)
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
