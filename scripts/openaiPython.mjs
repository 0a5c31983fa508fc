// A Python that can import the official `openai` client, for the tests that talk to the server with it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

/** The release the tests were written against. */
const OPENAI_VERSION = '3.54.0'

/**
 * The environment in which `$PYTHON` imports openai: as it is when the user's Python has the package, else with a copy in
 * build/, installed on first use.
 * @returns {{ env: Record<string, string> } | { reason: string }} `reason`: why there is none
 */
export function openaiPython() {
  const python = process.env.PYTHON ?? 'python3'
  if (run(python, ['-c', 'import openai']).status === 0) return { env: { PYTHON: python } }
  const version = run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
  if (version.status !== 0) return { reason: `${python} could not be started` }
  // Compiled parts of its dependencies fit one version of Python.
  const folder = join(root, 'build', `openai-${OPENAI_VERSION}-python-${version.stdout.trim()}`)
  const stamp = join(folder, '.complete')
  if (!existsSync(stamp)) {
    console.log(`installing openai ${OPENAI_VERSION} for Python into ${folder}`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const flags = '-m pip install --quiet --no-input --disable-pip-version-check --target'
    const pip = run(python, [...flags.split(' '), folder, `openai==${OPENAI_VERSION}`])
    if (pip.status !== 0) {
      const reason = pip.stderr.trim().split('\n').at(-1) || pip.error?.message
      return { reason: `pip could not install openai: ${reason}` }
    }
    writeFileSync(stamp, '')
  }
  return { env: { PYTHON: python, PYTHONPATH: folder } }
}

function run(command, args) {
  const env = { ...process.env, PIP_USER: '0' }
  return spawnSync(command, args, { cwd: root, env, encoding: 'utf8' })
}
