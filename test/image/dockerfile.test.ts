import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import packageLock from '../../package-lock.json' with { type: 'json' }
import { root } from '../cli/command.ts'
import { instructions, readDockerfile } from './dockerfile.ts'

const stages = readDockerfile()

test('a RUN calls a script of scripts/image, and does nothing else', () => {
  const runs = stages.flatMap(stage => instructions(stage, 'RUN'))
  expect(runs.length).toBeGreaterThan(0)
  for (const { args, flags } of runs) {
    const [script = '', ...rest] = args
    expect(flags).toEqual({})
    expect(script).toMatch(/^scripts\/image\/\w+\.(sh|mjs)$/)
    expect(existsSync(join(root, script))).toBe(true)
    // Words only: nothing that a shell would read as more than an argument.
    for (const word of rest) expect(word).toMatch(/^[\w/.-]+$/)
  }
})

test('what is copied is there, and let through by .dockerignore', () => {
  const ignore = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  const copied = stages
    .flatMap(stage => instructions(stage, 'COPY'))
    .filter(({ flags }) => flags.from === undefined)
    .flatMap(({ args }) => args.slice(0, -1))
  expect(copied).toContain('runtime')
  for (const path of copied) {
    expect(existsSync(join(root, path))).toBe(true)
    expect(ignore).toContain(`!${path.split('/')[0]}`)
  }
  expect(ignore).toContain('*')
})

test('names images in full: podman knows no default registry', () => {
  for (const { base } of stages) expect(base).toMatch(/^docker\.io\/\w+\/\w+:\d/)
})

test('the image runs the Node that the tests run, as nobody special', () => {
  const { version } = packageLock.packages['node_modules/node']
  const bases = stages.map(({ base }) => base).filter(base => base.includes('/node:'))
  expect(bases.length).toBe(2)
  for (const base of bases) expect(base).toContain(`/node:${version}-`)
  const [user] = instructions(stages.at(-1), 'USER')
  expect(user?.args[0]).toMatch(/^[1-9]\d*:[1-9]\d*$/)
})
