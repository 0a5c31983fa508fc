import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keyDigest } from '../../edge/access/keyEntries.ts'
import { mistralrs, startListening } from './command.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mistralrs-keys-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('key new prints a key once and its entry', async () => {
  const args = ['--name', 'ada', '--allow-model', 'a/b', '--requests-per-minute', '60', '--admin']
  const { code, stdout, stderr } = await mistralrs(['key', 'new', ...args])
  const [entry = '', key = ''] = stdout.split('\n')
  expect(code).toBe(0)
  expect(key).toMatch(/^sk-\w{40}$/)
  expect(stderr).not.toContain(key)
  expect(JSON.parse(entry)).toEqual({
    name: 'ada',
    sha256: await keyDigest(key),
    models: ['a/b'],
    requestsPerMinute: 60,
    admin: true,
  })
})

test('a server takes the keys of a list that key new has made', async () => {
  const file = join(folder, 'keys.json')
  const make = (name: string) => mistralrs(['key', 'new', '--name', name, '--file', file])
  const keys: string[] = []
  for (const name of ['ada', 'bob']) keys.push((await make(name)).stdout.trim())
  const text = await readFile(file, 'utf8')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  for (const key of keys) expect(text).not.toContain(key)
  const again = await make('ada')
  expect([again.code, again.stdout]).toEqual([1, ''])
  expect(again.stderr).toContain('two keys have the name ada')
  expect(await readFile(file, 'utf8')).toBe(text)

  const args = ['edge', '--upstream', 'http://127.0.0.1:9', '--api-key-file', file]
  const server = await startListening(...args)
  try {
    const status = async (key: string) =>
      (await fetch(`${server.url}/v1/nowhere`, { headers: { 'x-api-key': key } })).status
    for (const key of keys) expect(await status(key)).toBe(404)
    expect(await status('sk-other')).toBe(401)
  } finally {
    await server.end('SIGTERM')
  }
})

test('a list that cannot be read or is empty ends the start', async () => {
  const file = join(folder, 'empty.json')
  await writeFile(file, '[]')
  for (const path of [file, join(folder, 'none.json')]) {
    const { code, stderr } = await mistralrs([
      'edge',
      '--upstream',
      'http://x',
      '--api-key-file',
      path,
    ])
    expect(code).toBe(1)
    expect(stderr).toContain(`${path} is no list of API keys`)
  }
})
