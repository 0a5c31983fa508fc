import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { loadNative } from '../../runtime/loadNative.ts'
import type { Isa } from '../../runtime/native.ts'
import { type GoldenOptions, type GoldenOutcome, runGolden, runRealGolden } from './runGolden.ts'

const usage = `npm run golden -- DIR… [--backend reference|cpu|both|cuda] [--isa generic|avx2|avx512] [--threads N] [--model NAME=PATH]…

Compares models with their golden.json. DIR is a model folder or holds model folders. A NAME.logits-golden.json in or below
it is compared with the model that --model gives for NAME.
Exit code: 0 all agree, 1 something does not, 2 wrong arguments, 3 nothing ran.`

const isas: readonly string[] = ['generic', 'avx2', 'avx512'] satisfies Isa[]
const realSuffix = '.logits-golden.json'
const weightFiles = ['config.json', 'adapter_config.json']

function isModelFolder(folder: string): boolean {
  if (!existsSync(path.join(folder, 'golden.json'))) return false
  return readdirSync(folder).some(name => weightFiles.includes(name) || name.endsWith('.gguf'))
}

/** The folder itself or, two levels deep, those in it: adapters lie in the folder of their base model. */
function modelFolders(folder: string, depth = 2): string[] {
  const here = isModelFolder(folder) ? [folder] : []
  if (depth === 0) return here
  const below = readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .flatMap(entry => modelFolders(path.join(folder, entry.name), depth - 1))
  return [...here, ...below].sort()
}

/** Goldens of published models, whose files are elsewhere. */
function realGoldens(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.endsWith(realSuffix)).map(name => path.join(folder, name))
}

interface Arguments {
  folders: string[]
  options: GoldenOptions
  /** Path of each published model by the name of its golden. */
  models: Map<string, string>
}

function wrong(reason: string): undefined {
  console.error(`${reason}\n`)
}

function parseOptions(): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        backend: { type: 'string', default: 'both' },
        isa: { type: 'string' },
        threads: { type: 'string', default: '2' },
        model: { type: 'string', multiple: true, default: [] },
      },
    })
    const threads = Number(values.threads)
    const backends = {
      reference: ['reference'],
      cpu: ['cpu'],
      both: ['reference', 'cpu'],
      cuda: ['cuda'],
    } as const
    const chosen = Object.entries(backends).find(([name]) => name === values.backend)?.[1]
    const absent = positionals.find(folder => !existsSync(folder))
    if (positionals.length === 0) return wrong('no folder given')
    if (absent !== undefined) return wrong(`${absent} does not exist`)
    if (!chosen) return wrong(`--backend ${values.backend}`)
    if (values.isa !== undefined && !isas.includes(values.isa)) return wrong(`--isa ${values.isa}`)
    if (!Number.isInteger(threads) || threads < 1) return wrong(`--threads ${values.threads}`)
    const isa = values.isa === undefined ? {} : { isa: values.isa as Isa }
    const models = new Map<string, string>()
    for (const given of values.model) {
      const [name = '', ...file] = given.split('=')
      if (!existsSync(file.join('='))) return wrong(`--model ${given}: no such file`)
      models.set(name, file.join('='))
    }
    return { folders: positionals, options: { backends: chosen, ...isa, threads }, models }
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error))
  }
}

const columns = [22, 13, 9, 9, 12, 10, 12, 9]
const header = ['model', 'backend', 'worst', 'rms', 'argmax', 'greedy', 'chat', 'threads', 'ok']

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(columns[i] ?? 0))
    .join('  ')
    .trimEnd()
}

function describe(model: string, outcome: GoldenOutcome): string[] {
  switch (outcome.kind) {
    case 'unsupported':
      return [`${row([model, '-', 'unsupported'])}: ${outcome.reason}`]
    case 'failed':
      return [`${row([model, outcome.backend, 'FAILED'])}: ${outcome.reason}`]
    case 'ran': {
      const { worst, rms, argmax, greedy, chat, failures } = outcome.comparison
      const tally = (t: { equal: number; of: number }) => `${t.equal}/${t.of}`
      const cells = [
        model,
        outcome.backend,
        worst.toExponential(1),
        rms.toExponential(1),
        tally(argmax),
        tally(greedy),
        tally(chat),
        outcome.determinism ?? '-',
        failures.length === 0 ? 'ok' : 'FAILED',
      ]
      return [row(cells), ...failures.map(text => `    ${text}`)]
    }
  }
}

async function main(): Promise<number> {
  const parsed = parseOptions()
  if (!parsed) {
    console.error(usage)
    return 2
  }
  const { folders, options, models } = parsed
  const native = await loadNative()
  console.log(row(header))
  let ran = 0
  let failed = 0
  const report = (model: string, outcomes: readonly GoldenOutcome[]) => {
    for (const outcome of outcomes) {
      for (const line of describe(model, outcome)) console.log(line)
      if (outcome.kind === 'ran') ran++
      const isFailure = outcome.kind === 'ran' && outcome.comparison.failures.length > 0
      if (outcome.kind === 'failed' || isFailure) failed++
    }
  }
  for (const top of folders) {
    for (const folder of modelFolders(top)) {
      const name = path.relative(top, folder) || path.basename(folder)
      report(name, await runGolden(native, folder, options))
    }
    for (const file of realGoldens(top)) {
      const name = path.basename(file, realSuffix)
      const model = models.get(name)
      if (model) report(name, await runRealGolden(native, file, model, options))
      else console.log(`${row([name, '-', 'skipped'])}: no --model ${name}=PATH`)
    }
  }
  console.log(`${ran} runs, ${failed} failed`)
  if (failed > 0) return 1
  return ran === 0 ? 3 : 0
}

process.exitCode = await main()
