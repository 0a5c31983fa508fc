import { hash } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FakeHub, type FakeHubOptions, startFakeHub } from '../../test/support/fakeHub.ts'
import { snapshotModel } from './snapshot.ts'

const model = 'org/tiny'
const weights = Buffer.alloc(300_000, 'w')
const files = {
  'config.json': '{}',
  'tokenizer.json': '{"a":1}',
  'chat_template.jinja': 'x',
  'model.safetensors': weights,
  'README.md': 'no',
  'pytorch_model.bin': 'no',
  'original/model.safetensors': 'no',
}
const used = ['chat_template.jinja', 'config.json', 'model.safetensors', 'tokenizer.json']

let home = ''
let hub: FakeHub
let log: string[] = []
const cacheFolder = () => join(home, 'hub', 'models--org--tiny')
const progress = {
  log: (line: string) => log.push(line),
  bytes: (source: string, done: number, total: number) => log.push(`${source} ${done}/${total}`),
}

async function start(options: Partial<FakeHubOptions> = {}): Promise<void> {
  await hub?.close()
  hub = await startFakeHub({
    repositories: { [model]: files },
    large: /\.(safetensors|gguf)$/,
    ...options,
  })
  vi.stubEnv('HF_ENDPOINT', hub.origin)
}

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'mistralrs-hub-'))
  log = []
  for (const name of ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_TOKEN', 'HF_HUB_TOKEN']) {
    vi.stubEnv(name, undefined)
  }
  vi.stubEnv('HUGGING_FACE_HUB_TOKEN', undefined)
  vi.stubEnv('HF_HUB_OFFLINE', undefined)
  vi.stubEnv('TRANSFORMERS_OFFLINE', undefined)
  vi.stubEnv('HF_TOKEN_PATH', undefined)
  vi.stubEnv('HF_HOME', home)
  await start()
})

afterEach(async () => {
  await hub.close()
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

describe('a snapshot', () => {
  test('holds what a model needs, in the layout of huggingface-cli', async () => {
    const path = await snapshotModel({ model }, progress)
    expect(path).toBe(join(cacheFolder(), 'snapshots', hub.commit))
    expect(readdirSync(path).sort()).toEqual(used)
    expect(readFileSync(join(cacheFolder(), 'refs', 'main'), 'utf8')).toBe(hub.commit)
    // Large files are named by their sha256, others by git's hash.
    const blob = `../../blobs/${hash('sha256', weights, 'hex')}`
    expect(readlinkSync(join(path, 'model.safetensors'))).toBe(blob)
    expect(readlinkSync(join(path, 'config.json'))).toBe(
      `../../blobs/${hash('sha1', 'blob 2\0{}', 'hex')}`,
    )
    expect(log.at(-1)).toBe(`${model} 300010/300010`)
  })

  test('is not downloaded twice', async () => {
    await snapshotModel({ model }, progress)
    hub.requests.length = 0
    await snapshotModel({ model }, progress)
    expect(hub.requests).toEqual([`GET /api/models/${model}/revision/main`])
  })

  test('prints nothing', async () => {
    const write = vi.spyOn(process.stdout, 'write')
    await snapshotModel({ model }, progress)
    expect(write).not.toHaveBeenCalled()
    write.mockRestore()
  })

  test('goes on where a broken connection left off', async () => {
    await start({ breakAfter: 100_000 })
    const path = await snapshotModel({ model }, progress)
    expect(readFileSync(join(path, 'model.safetensors')).equals(weights)).toBe(true)
    expect(hub.requests.at(-1)).toMatch(/safetensors bytes=\d+-$/)
  })

  test('goes on where an earlier process left off, and starts anew when that was something else', async () => {
    for (const beginning of [weights.subarray(0, 1000), Buffer.alloc(1000, 'x')]) {
      rmSync(cacheFolder(), { recursive: true, force: true })
      mkdirSync(join(cacheFolder(), 'blobs'), { recursive: true })
      const partial = `${hash('sha256', weights, 'hex')}.incomplete`
      writeFileSync(join(cacheFolder(), 'blobs', partial), beginning)
      const path = await snapshotModel({ model }, progress)
      expect(readFileSync(join(path, 'model.safetensors')).equals(weights)).toBe(true)
      expect(hub.requests.some(request => request.endsWith('bytes=1000-'))).toBe(true)
      expect(readdirSync(join(cacheFolder(), 'blobs'))).toHaveLength(used.length)
    }
  })

  test('with a wrong checksum gets no name', async () => {
    await start({
      intercept(request, response) {
        if (!request.headers.host?.startsWith('localhost')) return false
        response.end(Buffer.alloc(weights.length, 'v'))
        return true
      },
    })
    await expect(snapshotModel({ model }, progress)).rejects.toThrow('sha256')
    const blobs = readdirSync(join(cacheFolder(), 'blobs'))
    expect(blobs).not.toContain(hash('sha256', weights, 'hex'))
    expect(readdirSync(cacheFolder())).not.toContain('refs')
  })

  test('is fetched by two at once', async () => {
    const [a, b] = await Promise.all([
      snapshotModel({ model }, progress),
      snapshotModel({ model }, progress),
    ])
    expect(a).toBe(b)
    expect(readdirSync(join(cacheFolder(), 'blobs'))).toHaveLength(used.length)
  })
})

describe('GGUF repositories', () => {
  const several = { 'a-Q4_0.gguf': 'a', 'a-Q8_0.gguf': 'b', 'generation_config.json': '{}' }

  test('one file is chosen with -f, or when there is one', async () => {
    await start({ repositories: { [model]: several, 'org/one': { 'x.gguf': 'x' } } })
    const path = await snapshotModel({ model, file: 'a-Q8_0.gguf' }, progress)
    expect(readFileSync(path, 'utf8')).toBe('b')
    expect(readdirSync(join(path, '..')).sort()).toEqual(['a-Q8_0.gguf', 'generation_config.json'])
    expect(await snapshotModel({ model: 'org/one' }, progress)).toMatch(/x\.gguf$/)
  })

  test('the choice is offered when there is one', async () => {
    await start({ repositories: { [model]: several } })
    const names = 'a-Q4_0.gguf, a-Q8_0.gguf'
    await expect(snapshotModel({ model }, progress)).rejects.toThrow(`-f: ${names}`)
    const call = snapshotModel({ model, file: 'b.gguf' }, progress)
    await expect(call).rejects.toThrow(`no file b.gguf; its GGUF files are ${names}`)
  })

  test('a model in parts is fetched whole', async () => {
    const parts = { 'm-00001-of-00002.gguf': '1', 'm-00002-of-00002.gguf': '2', 'z/m.gguf': '3' }
    await start({ repositories: { [model]: parts } })
    const path = await snapshotModel({ model, file: 'm-00001-of-00002.gguf' }, progress)
    expect(readdirSync(join(path, '..'))).toEqual(Object.keys(parts).slice(0, 2))
  })
})

describe('access', () => {
  test('the token goes to the hub and nowhere else', async () => {
    writeFileSync(join(home, 'token'), 'hf_file\n')
    await snapshotModel({ model }, progress)
    expect([...hub.tokens.hub]).toEqual(['Bearer hf_file'])
    expect([...hub.tokens.storage]).toEqual([undefined])
    vi.stubEnv('HF_TOKEN', 'hf_env')
    await snapshotModel({ model }, progress)
    expect([...hub.tokens.hub]).toEqual(['Bearer hf_file', 'Bearer hf_env'])
  })

  test.each([
    [401, '', 'does not exist, or it is gated or private'],
    [401, 'GatedRepo', 'accept its terms'],
    [403, 'GatedRepo', 'accept its terms'],
    [404, 'RepoNotFound', 'does not exist (HTTP 404)'],
    [404, 'RevisionNotFound', 'has no revision main'],
    [503, '', 'could not be fetched'],
  ])('%i %s', async (status, code, message) => {
    await start({
      intercept(_request, response) {
        response.writeHead(status, { 'x-error-code': code }).end()
        return true
      },
    })
    const call = snapshotModel({ model }, progress)
    await expect(call).rejects.toThrow(message)
    if (status === 403) await expect(call).rejects.toThrow(`open ${hub.origin}/${model}`)
  })

  test('names from outside cannot leave the cache', async () => {
    const call = snapshotModel({ model, revision: '../../x' }, progress)
    await expect(call).rejects.toThrow('not a usable revision')
    await start({ repositories: { [model]: { '../config.json': '', 'config.json': '' } } })
    await expect(snapshotModel({ model }, progress)).rejects.toThrow('not a usable file name')
  })
})

describe('without the hub', () => {
  test('the cache is used, with a warning unless offline mode is on', async () => {
    const path = await snapshotModel({ model }, progress)
    const { commit } = hub
    await hub.close()
    log = []
    expect(await snapshotModel({ model }, progress)).toBe(path)
    expect(log).toEqual([
      expect.stringMatching(/could not be reached.*; using org\/tiny from the cache/),
    ])
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    log = []
    expect(await snapshotModel({ model }, progress)).toBe(path)
    expect(await snapshotModel({ model, revision: commit }, progress)).toBe(path)
    expect(log).toEqual([])
  })

  test('what is not in the cache is an error', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', 'yes')
    const call = snapshotModel({ model, file: 'x.gguf' }, progress)
    await expect(call).rejects.toThrow('x.gguf of org/tiny at revision main is not in the cache')
    vi.stubEnv('HF_HUB_OFFLINE', undefined)
    await hub.close()
    await expect(snapshotModel({ model }, progress)).rejects.toThrow('could not be fetched')
  })
})
