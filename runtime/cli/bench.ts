import { cpus } from 'node:os'
import type { Command } from 'commander'
import type { Engine, GenerateJob, Usage } from '../../edge/engine.ts'
import { runTurn } from './chatTurn.ts'
import { findModel, loadEngine } from './loadEngine.ts'
import { createLog } from './log.ts'
import {
  addModelOptions,
  integerList,
  type ModelOptions,
  nonNegativeInteger,
  positiveInteger,
} from './options.ts'
import { createProgress } from './progress.ts'

interface BenchOptions extends ModelOptions {
  promptLen: number[]
  genLen: number
  depth: number[]
  iterations: number
  warmup: number
  json?: boolean
}

export interface BenchRow {
  test: 'prefill' | 'decode'
  /** Prompt tokens: all of them are timed in prefill; in decode they are the depth generation starts at. */
  promptTokens: number
  /** Generated tokens that are timed. */
  genTokens: number
  /** tokens/s of each iteration. */
  tokensPerSecond: { mean: number; stddev: number; median: number; min: number; max: number }
  /** Milliseconds: time to first token in prefill, time per output token in decode. */
  latencyMs: number
}

/** `mistralrs bench`: prefill and decode speed through the engine, without HTTP. */
export function benchCommand(program: Command): void {
  addModelOptions(program.command('bench'))
    .description('measure prefill and decode speed')
    .option('--prompt-len <list>', 'prompt lengths to prefill, 0 for none', integerList(0), [512])
    .option('--gen-len <n>', 'tokens to generate, below 2 for none', nonNegativeInteger, 128)
    .option(
      '--depth <list>',
      'tokens already in the cache when decoding starts',
      integerList(1),
      [4],
    )
    .option('--iterations <n>', 'timed runs of each test', positiveInteger, 3)
    .option('--warmup <n>', 'runs before them', nonNegativeInteger, 1)
    .option('--json', 'print one JSON object')
    .action(async (options: BenchOptions) => {
      const log = createLog(options.verbose > 0 ? 'debug' : 'warn', process.stderr)
      const progress = createProgress(process.stderr, log.info)
      // Every run uses the same tokens: with a prefix cache the second would find its prompt done.
      const model = await findModel(options, log, progress)
      const engine = await loadEngine(model, { ...options, prefixCacheN: 0 }, log, progress)
      try {
        const [info] = await engine.models()
        const rows = await measure(engine, info?.vocabSize ?? 1, options)
        const { isa, threads } = engine.report.native
        const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', isa, threads }
        const quantization = info?.quantization ?? 'unknown'
        const report = { model: model.id, quantization, ...machine }
        if (options.json) console.log(JSON.stringify({ ...report, rows }, null, 2))
        else printTable(report, rows, options)
      } finally {
        await engine.dispose()
      }
    })
}

async function measure(
  engine: Engine,
  vocabSize: number,
  options: BenchOptions,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const promptTokens of options.promptLen) {
    if (promptTokens === 0) continue
    const runs = await repeat(engine, job(promptTokens, 1, vocabSize), options)
    rows.push({
      test: 'prefill',
      promptTokens,
      genTokens: 0,
      tokensPerSecond: summary(runs.map(usage => (promptTokens / usage.promptMs) * 1000)),
      latencyMs: mean(runs.map(usage => usage.promptMs)),
    })
  }
  if (options.genLen < 2) return rows
  for (const depth of options.depth) {
    const runs = await repeat(engine, job(depth, options.genLen, vocabSize), options)
    // The first token comes out of the prefill; the time is that of the others.
    const genTokens = options.genLen - 1
    rows.push({
      test: 'decode',
      promptTokens: depth,
      genTokens,
      tokensPerSecond: summary(runs.map(usage => (genTokens / usage.completionMs) * 1000)),
      latencyMs: mean(runs.map(usage => usage.completionMs / genTokens)),
    })
  }
  return rows
}

async function repeat(engine: Engine, job: GenerateJob, options: BenchOptions): Promise<Usage[]> {
  const runs: Usage[] = []
  for (let i = -options.warmup; i < options.iterations; i++) {
    const { usage } = await runTurn(engine, job, new AbortController().signal, () => {})
    if (usage === undefined) throw new Error('the engine ended a benchmark run without usage')
    if (i >= 0) runs.push(usage)
  }
  return runs
}

/** Fixed pseudo-random prompt, forced length. Source of the generator: Lehmer, MINSTD multiplier 48271. */
function job(promptTokens: number, genTokens: number, vocabSize: number): GenerateJob {
  let state = 1
  const tokens = Array.from({ length: promptTokens }, () => {
    state = (state * 48271) % 2147483647
    return state % vocabSize
  })
  return {
    model: 'default',
    prompt: { kind: 'text', prompts: [tokens] },
    n: 1,
    maxTokens: genTokens,
    ignoreEos: true,
    sampling: { temperature: 0 },
    stop: [],
  }
}

function printTable(
  report: Record<string, string | number>,
  rows: BenchRow[],
  options: BenchOptions,
): void {
  console.log(
    Object.entries(report)
      .map(([name, value]) => `${name}: ${value}`)
      .join(' · '),
  )
  console.log(`iterations: ${options.iterations}, warm-up: ${options.warmup}\n`)
  const cells = rows.map(row => [
    row.test === 'prefill'
      ? `prefill ${row.promptTokens}`
      : `decode ${row.genTokens} @ ${row.promptTokens}`,
    `${row.tokensPerSecond.mean.toFixed(1)} ± ${row.tokensPerSecond.stddev.toFixed(1)}`,
    `${row.latencyMs.toFixed(2)} ms ${row.test === 'prefill' ? 'TTFT' : 'TPOT'}`,
  ])
  const table = [['Test', 'T/s', 'Latency'], ...cells]
  const widths = [0, 1, 2].map(i => Math.max(...table.map(row => (row[i] ?? '').length)))
  for (const row of table)
    console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | '))
}

function summary(values: number[]): BenchRow['tokensPerSecond'] {
  const sorted = values.toSorted((a, b) => a - b)
  const average = mean(values)
  const variance = mean(values.map(value => (value - average) ** 2))
  return {
    mean: average,
    stddev: Math.sqrt(variance),
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    min: sorted[0] ?? 0,
    max: sorted.at(-1) ?? 0,
  }
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
