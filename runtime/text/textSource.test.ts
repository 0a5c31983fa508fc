import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadText } from './textSource.ts'

const goldens = join(import.meta.dirname, '../../test/goldens')

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mistralrs-text-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function readJson(...path: string[]) {
  return JSON.parse(await readFile(join(goldens, ...path), 'utf8'))
}

const after = (token: string, id: number) => ({
  type: 'TemplateProcessing',
  single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: token, type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
})

/** As transformers 5.24 has it: docs/decisions/add-bos-token.md. */
describe('what tokenizer.json puts around a text', () => {
  const models = [
    { golden: 'mistral', tokenizer_class: 'LlamaTokenizerFast', bos: 1, eos: 2, eosText: '</s>' },
    { golden: 'gemma3', tokenizer_class: 'GemmaTokenizer', bos: 2, eos: 1, eosText: '<eos>' },
  ]
  const processors = ['a BOS', 'nothing', 'an EOS'] as const
  const flags = [{}, { add_bos_token: false }, { add_bos_token: true, add_eos_token: true }]
  const cases = models.flatMap(model =>
    processors.flatMap(processor => flags.map(flag => ({ model, processor, flag }))),
  )

  test.each(cases)(
    '$model.golden: $processor, whatever $flag says',
    async ({ model: { golden, bos, eos, eosText, tokenizer_class }, processor, flag }) => {
      const tokenizer = await readJson(golden, 'tokenizer.json')
      if (processor === 'nothing') tokenizer.post_processor = null
      if (processor === 'an EOS') tokenizer.post_processor = after(eosText, eos)
      const { add_bos_token, add_eos_token, ...config } = await readJson(
        golden,
        'tokenizer_config.json',
      )
      await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer))
      await writeFile(
        join(dir, 'tokenizer_config.json'),
        JSON.stringify({ ...config, tokenizer_class, ...flag }),
      )
      const loaded = await loadText({ kind: 'folder', dir })
      const bare = loaded.tokenizer.encode('hi', { addSpecialTokens: false })
      expect([...loaded.tokenizer.encode('hi', { addSpecialTokens: true })]).toEqual([
        ...(processor === 'a BOS' ? [bos] : []),
        ...bare,
        ...(processor === 'an EOS' ? [eos] : []),
      ])
    },
  )
})
