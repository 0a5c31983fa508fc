import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ModelRequest, requestedId, resolveModel } from './resolveModel.ts'

let home = ''
const at = (path: string) => join(home, path)
const resolve = (request: ModelRequest) => resolveModel(request, { log: () => {}, bytes: () => {} })

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'mistralrs-resolve-'))
  mkdirSync(at('folder'))
  writeFileSync(at('folder/a.gguf'), '')
  writeFileSync(at('b.gguf'), '')
  vi.stubEnv('HF_HOME', at('cache'))
  vi.stubEnv('HF_HUB_OFFLINE', '1')
})

afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

describe('paths', () => {
  test.each([
    ['a folder', { model: 'folder' }, 'folder'],
    ['a file', { model: 'b.gguf' }, 'b.gguf'],
    ['-f alone', { file: 'b.gguf' }, 'b.gguf'],
    ['-f inside -m', { model: 'folder', file: 'a.gguf' }, 'folder/a.gguf'],
  ])('%s', async (_name, request: ModelRequest, expected) => {
    const absolute = {
      ...(request.model && { model: at(request.model) }),
      ...(request.file && { file: request.model ? request.file : at(request.file) }),
    }
    const { id, path, isDefault } = await resolve(absolute)
    expect([path, isDefault]).toEqual([at(expected), false])
    expect(id).toBe(requestedId(absolute))
  })
})

describe('mistakes', () => {
  test.each([
    ['neither path nor id', { model: 'nothing' }, 'nothing: no such file or folder'],
    ['a missing file', { model: 'org/missing.gguf' }, 'no such file or folder'],
    ['too many parts', { model: 'a/b/c' }, 'not a hub id'],
    ['-f alone is missing', { file: 'no.gguf' }, 'no.gguf: no such file'],
    ['an id not in the cache', { model: 'org/name' }, 'offline mode is on'],
  ])('%s', async (_name, request, message) => {
    await expect(resolve(request)).rejects.toThrow(message)
  })

  test('-f not inside -m, -f with a file, --revision with a path', async () => {
    const inFolder = resolve({ model: at('folder'), file: 'no.gguf' })
    await expect(inFolder).rejects.toThrow(`no.gguf: no such file in ${at('folder')}`)
    const twice = resolve({ model: at('b.gguf'), file: 'a.gguf' })
    await expect(twice).rejects.toThrow('leave out -f')
    const revision = resolve({ model: at('folder'), revision: 'main' })
    await expect(revision).rejects.toThrow('--revision is for models of the hub')
  })
})
