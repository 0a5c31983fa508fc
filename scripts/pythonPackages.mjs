// A Python that can import what tests talk to the server with: the official clients, and schemathesis.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

/** The releases the tests were written against. */
export const CLIENTS = { openai: '3.54.0', anthropic: '2.14.0' }
export const SCHEMATHESIS = { schemathesis: '4.32.5' }

/**
 * Where `$PYTHON` finds packages: on its own when it has them, else in build/, installed on first use.
 * @param {Record<string, string>} packages their names and releases
 * @returns {{ python: string, path?: string } | { reason: string }} `path`: for PYTHONPATH; `reason`: why there are none
 */
export function pythonPackages(packages) {
  const python = process.env.PYTHON ?? 'python3'
  const names = Object.keys(packages)
  if (run(python, ['-c', `import ${names.join(', ')}`]).status === 0) return { python }
  const version = run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
  if (version.status !== 0) return { reason: `${python} could not be started` }
  // Compiled parts of their dependencies fit one version of Python.
  const releases = Object.entries(packages).map(([name, release]) => `${name}==${release}`)
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
  return { python, path: folder }
}

function run(command, args) {
  const env = { ...process.env, PIP_USER: '0' }
  return spawnSync(command, args, { cwd: root, env, encoding: 'utf8' })
}
