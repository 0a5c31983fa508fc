#!/usr/bin/env node
// `scripts/image/layout.mjs OUT`: copies what runs, and nothing else, into OUT/app, and makes OUT/data, an empty folder.
// Needs node_modules and build/native. Packages are copied rather than installed again: what was tested is what ships.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const [out] = process.argv.slice(2)
if (out === undefined) {
  process.stderr.write('usage: layout.mjs OUT\n')
  process.exit(2)
}
const app = join(out, 'app')

const copy = (from, to = from) =>
  cpSync(join(root, from), join(app, to), {
    recursive: true,
    dereference: true,
    filter: path => !path.endsWith('.test.ts'),
  })

mkdirSync(app, { recursive: true })
mkdirSync(join(out, 'data'), { recursive: true })
for (const name of ['package.json', 'edge', 'runtime']) copy(name)
copy('scripts/image/healthcheck.mjs', 'healthcheck.mjs')

const native = readdirSync(join(root, 'build', 'native')).filter(name => /\.(node|so)$/.test(name))
if (!native.includes('mistralrs.node')) throw new Error('build/native holds no addon')
for (const name of native) copy(join('build', 'native', name))

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
for (const [path, { dev }] of Object.entries(packages)) {
  // A package of another platform is in the lock file and not on the disk.
  if (path !== '' && !dev && existsSync(join(root, path))) copy(path)
}
