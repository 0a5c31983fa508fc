import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { prepareModel } from '../models/loadModel.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

const source = path.join(import.meta.dirname, '../../test/goldens/embedding-gemma')
const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A copy of the model with one of its files replaced, or taken away. */
async function withFile(file: string, content: unknown): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mistralrs-embedding-'))
  folders.push(folder)
  await cp(source, folder, { recursive: true })
  if (content === undefined) await rm(path.join(folder, file))
  else await writeFile(path.join(folder, file), JSON.stringify(content))
  return folder
}

describe('embedding models', () => {
  it('are read at the mean of their tokens, through their dense layers', async () => {
    const { pooling, wholePrompts, config, plan } = await prepareModel(source)
    expect([pooling, wholePrompts, config.embeddingSize]).toEqual(['mean', true, 96])
    expect(plan).toMatch(/op mean_rows .*\nop linear .*\nop linear .*\nhidden b\d+\n$/)
    expect(plan).not.toMatch(/op attention (?!.*causal=0)/)
  })

  it.each<[string, string, unknown, RegExp]>([
    [
      'a module that is not known',
      'modules.json',
      [{ path: '', type: 'sentence_transformers.models.CLIPModel' }],
      /CLIPModel/,
    ],
    [
      'a pooling that is not known',
      '1_Pooling/config.json',
      { pooling_mode_max_tokens: true },
      /pooling/,
    ],
    ['an activation', '2_Dense/config.json', { in_features: 96, out_features: 192 }, /Tanh/],
    ['no word on how it embeds', 'modules.json', undefined, /needs a modules\.json/],
  ])('%s is named', async (_, file, content, message) => {
    const loading = prepareModel(await withFile(file, content))
    await expect(loading).rejects.toThrow(UnsupportedModelError)
    await expect(loading).rejects.toThrow(message)
  })

  it('does not read outside of its folder', async () => {
    const dense = { path: '../2_Dense', type: 'sentence_transformers.models.Dense' }
    const loading = prepareModel(await withFile('modules.json', [dense]))
    await expect(loading).rejects.toThrow(FileFormatError)
    await expect(loading).rejects.toThrow(/leaves the folder/)
  })
})
