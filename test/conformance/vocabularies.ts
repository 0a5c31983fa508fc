import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tokenizerFromGguf } from '../../runtime/text/tokenizer/ggufTokenizer.ts'
import { readGguf } from '../../runtime/weights/gguf.ts'
import type { Difference, SuiteResult } from './report.ts'

const separator = '\n__ggml_vocab_test__\n'

/** Tokenizes the texts of every `NAME.inp` with `NAME` (a GGUF file) and compares with `NAME.out`, a line of ids each. */
export async function runVocabularies(dir: string): Promise<SuiteResult[]> {
  const names = (await readdir(dir)).filter(name => name.endsWith('.gguf.inp')).sort()
  const results: SuiteResult[] = []
  for (const name of names) results.push(await runFile(dir, name.replace(/\.inp$/, '')))
  return results
}

async function runFile(dir: string, file: string): Promise<SuiteResult> {
  const path = join(dir, file)
  const [gguf, input, output] = await Promise.all([
    readGguf(path),
    readFile(`${path}.inp`, 'utf8'),
    readFile(`${path}.out`, 'utf8'),
  ])
  const tokenizer = tokenizerFromGguf(gguf)
  const texts = input.split(separator)
  const lines = output.split('\n')
  const differences: Difference[] = []
  for (const [i, text] of texts.entries()) {
    const actual = tokenizer.encode(text, { addSpecialTokens: false }).join(' ')
    const expected = lines[i]?.trim() ?? 'no line'
    if (actual !== expected) differences.push({ name: JSON.stringify(text), expected, actual })
  }
  return { file, cases: texts.length, equal: texts.length - differences.length, differences }
}
