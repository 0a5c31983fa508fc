// A Python that can import the official clients, for the tests that talk to the server with them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

/** The releases the tests were written against. */
const CLIENTS = { openai: '3.54.0', anthropic: '2.14.0' }

/**
 * The environment in which `$PYTHON` imports the clients: as it is when the user's Python has them, else with copies in
 * build/, installed on first use.
 * @returns {{ env: Record<string, string> } | { reason: string }} `reason`: why there is none
 */
export function pythonClients() {
  const python = process.env.PYTHON ?? 'python3'
  const names = Object.keys(CLIENTS)
  if (run(python, ['-c', `import ${names.join(', ')}`]).status === 0) {
    return { env: { PYTHON: python } }
  }
  const version = run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
  if (version.status !== 0) return { reason: `${python} could not be started` }
  // Compiled parts of their dependencies fit one version of Python.
  const releases = Object.entries(CLIENTS).map(([name, release]) => `${name}==${release}`)
  const label = releases.join('-').replaceAll('==', '-')
  const folder = join(root, 'build', `${label}-python-${version.stdout.trim()}`)
  const stamp = join(folder, '.complete')
  if (!existsSync(stamp)) {
    console.log(`installing ${releases.join(' and ')} for Python into ${folder}`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const flags = '-m pip install --quiet --no-input --disable-pip-version-check --target'
    const pip = run(python, [...flags.split(' '), folder, ...releases])
    if (pip.status !== 0) {
      const reason = pip.stderr.trim().split('\n').at(-1) || pip.error?.message
      return { reason: `pip could not install them: ${reason}` }
    }
    writeFileSync(stamp, '')
  }
  return { env: { PYTHON: python, PYTHONPATH: folder } }
}

function run(command, args) {
  const env = { ...process.env, PIP_USER: '0' }
  return spawnSync(command, args, { cwd: root, env, encoding: 'utf8' })
}
