import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { FileFormatError } from './fileFormatError.ts'
import { readGguf } from './gguf.ts'
import { readModelFile, readOptionalModelFile } from './modelFile.ts'
import { readSafetensors } from './safetensors.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'model-file-'))
afterAll(() => rmSync(folder, { recursive: true }))
const at = (name: string) => path.join(folder, name)

describe('readModelFile', () => {
  test('reads regular files and links to them', async () => {
    writeFileSync(at('config.json'), '{}')
    symlinkSync(at('config.json'), at('link'))
    expect((await readModelFile(at('link'), 2)).toString()).toBe('{}')
    expect(await readOptionalModelFile(at('nothing'), 2)).toBeUndefined()
    expect(await readOptionalModelFile(at('config.json/below'), 2)).toBeUndefined()
    await expect(readModelFile(at('nothing'), 2)).rejects.toThrow(at('nothing'))
  })

  test('refuses more than it may read', async () => {
    await expect(readModelFile(at('config.json'), 1)).rejects.toThrow('2 bytes, more than the 1')
  })

  test('refuses folders, devices and pipes, by whichever reader, without waiting', async () => {
    execFileSync('mkfifo', [at('pipe')])
    const read = [(file: string) => readOptionalModelFile(file, 99), readGguf, readSafetensors]
    for (const file of [folder, '/dev/zero', at('pipe')]) {
      for (const reader of read) {
        const error = await reader(file).catch((e: unknown) => e)
        expect(error).toBeInstanceOf(FileFormatError)
        expect(error).toMatchObject({ path: file, reason: 'not a regular file' })
      }
    }
  })
})
