import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { goldenFolders, sharedDir } from '../../test/conformance/goldenFolders.ts'
import { printReport } from '../../test/conformance/report.ts'
import { runTemplates } from '../../test/conformance/templates.ts'
import { runVocabularies } from '../../test/conformance/vocabularies.ts'
import { loadText, type TextSource } from './textSource.ts'
import { Detokenizer } from './tokenizer/detokenizer.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'

interface GoldenCase {
  text: string
  ids: number[]
  ids_special: number[]
  decoded: string
  decoded_skip_special: string
}

function readCases(path: string): GoldenCase[] {
  return JSON.parse(readFileSync(path, 'utf8')).cases
}

/** Texts that differ in any of the four outputs. */
function differences(tokenizer: Tokenizer, cases: GoldenCase[]): string[] {
  const different: string[] = []
  for (const entry of cases) {
    const actual = {
      text: entry.text,
      ids: [...tokenizer.encode(entry.text, { addSpecialTokens: false })],
      ids_special: [...tokenizer.encode(entry.text, { addSpecialTokens: true })],
      decoded: tokenizer.decode(entry.ids, { skipSpecialTokens: false }),
      decoded_skip_special: tokenizer.decode(entry.ids, { skipSpecialTokens: true }),
    }
    if (JSON.stringify(actual) !== JSON.stringify(pick(entry))) different.push(entry.text)
  }
  return different
}

function pick({ text, ids, ids_special, decoded, decoded_skip_special }: GoldenCase): GoldenCase {
  return { text, ids, ids_special, decoded, decoded_skip_special }
}

const folders = goldenFolders('tokenizer-golden.json')

describe('tokenizers equal the reference', () => {
  test.each(folders)('$name', async ({ dir }) => {
    const gguf = join(dir, 'model.gguf')
    const source: TextSource = existsSync(gguf)
      ? { kind: 'gguf', path: gguf }
      : { kind: 'folder', dir }
    const { tokenizer } = await loadText(source)
    const cases = readCases(join(dir, 'tokenizer-golden.json'))
    expect(cases.length).toBeGreaterThan(90)
    expect(differences(tokenizer, cases)).toEqual([])
  })

  test.each(folders)('$name, token by token', async ({ dir }) => {
    const gguf = join(dir, 'model.gguf')
    const { tokenizer } = await loadText(
      existsSync(gguf) ? { kind: 'gguf', path: gguf } : { kind: 'folder', dir },
    )
    for (const { ids, decoded } of readCases(join(dir, 'tokenizer-golden.json'))) {
      const detokenizer = new Detokenizer(tokenizer.pieces, { skipSpecialTokens: false })
      const parts = ids.map(id => detokenizer.push(id))
      expect(parts.join('') + detokenizer.flush()).toBe(decoded)
      for (const part of parts) expect(part.isWellFormed()).toBe(true)
    }
  })
})

const vocab = join(sharedDir, 'conformance/vocab')
const templates = join(sharedDir, 'conformance/templates')
const chatTemplates = join(sharedDir, 'fixtures/chat-templates')
const ownTemplates = join(import.meta.dirname, '../../test/goldens/templates')

describe('conformance', () => {
  test.skipIf(!existsSync(vocab))('vocabularies', async () => {
    const results = await runVocabularies(vocab)
    expect(results.flatMap(result => result.differences)).toEqual([])
    expect(results).toHaveLength(6)
  })

  test.each([templates, chatTemplates, ownTemplates])('templates of %s', async dir => {
    if (!existsSync(dir)) {
      console.log(`skipped: ${dir} is not there`)
      return
    }
    const results = await runTemplates(dir)
    expect(results.flatMap(result => result.differences)).toEqual([])
    expect(results.length).toBeGreaterThan(0)
  })

  test('the report says what is wrong through its exit code', () => {
    const difference = { name: 'a', expected: 'xy', actual: 'xz' }
    const base = { file: 'f', cases: 2, equal: 2, differences: [] }
    expect(printReport([base])).toBe(0)
    expect(printReport([{ ...base, equal: 1, differences: [difference] }])).toBe(1)
    expect(printReport([])).toBe(3)
  })
})
