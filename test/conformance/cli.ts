/**
 * Compares chat templates and vocabularies with reference outputs.
 * Exit code: 0 all equal, 1 a case differs, 2 bad usage, 3 nothing to run.
 */
import { readdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { printReport, type SuiteResult } from './report.ts'
import { runTemplates } from './templates.ts'
import { runVocabularies } from './vocabularies.ts'

const usage = `usage: npm run conformance -- templates DIR
       npm run conformance -- vocab DIR

templates: *.json with cases of messages and expected text; the template in each case, or beside
           NAME.golden.json as NAME.jinja
vocab:     NAME.gguf with NAME.gguf.inp (texts) and NAME.gguf.out (token ids)`

const suites: Record<string, (dir: string) => Promise<SuiteResult[]>> = {
  templates: runTemplates,
  vocab: runVocabularies,
}

async function main(): Promise<number> {
  let positionals: string[]
  try {
    ;({ positionals } = parseArgs({ allowPositionals: true }))
  } catch {
    positionals = []
  }
  const [name = '', dir] = positionals
  const suite = Object.hasOwn(suites, name) ? suites[name] : undefined
  if (!suite || dir === undefined || positionals.length !== 2) {
    console.error(usage)
    return 2
  }
  try {
    await readdir(dir)
  } catch (error) {
    console.error(`cannot read ${dir}: ${error instanceof Error ? error.message : String(error)}`)
    return 2
  }
  return printReport(await suite(dir))
}

process.exitCode = await main()
