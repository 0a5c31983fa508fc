import { cpus } from 'node:os'
import {
  type Engine,
  EngineError,
  type GenerateJob,
  type ModelInfo,
  type Usage,
} from '../../edge/engine.ts'
import { runTurn } from './chatTurn.ts'
import { findModel, loadEngine } from './loadEngine.ts'
import { createLog } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress, type Progress } from './progress.ts'
import { type Summary, summarize } from './summarize.ts'

export interface BenchOptions extends ModelOptions {
  promptLen: number[]
  genLen: number
  depth: number[]
  concurrency: number[]
  iterations: number
  warmup: number
  json?: boolean
}

export interface BenchRow {
  test: 'prefill' | 'decode'
  /** Prompt tokens of a stream: all of them are timed in prefill; in decode they are the depth generation starts at. */
  promptTokens: number
  /** Generated tokens of a stream that are timed. */
  genTokens: number
  /** Streams that run at once. */
  concurrency: number
  /** Of all streams together, over the iterations. */
  tokensPerSecond: Summary
  /** Time to first token in prefill, time per output token in decode, over iterations and streams. */
  latencyMs: Summary
}

/** `mistralrs bench`: prefill and decode speed through the engine, without HTTP. */
export async function bench(options: BenchOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'warn', process.stderr)
  const progress = createProgress(process.stderr, log.notice)
  const model = await findModel(options, log, progress)
  const maxSeqs = Math.max(options.maxSeqs, ...options.concurrency)
  // Every run uses the same tokens: with a prefix cache the second would find its prompt done.
  const settings = { ...options, maxSeqs, prefixCacheN: 0 }
  const engine = await loadEngine(model, settings, log, progress)
  try {
    const { quantization } = engine.info
    const rows = await measure(engine, engine.info, options, progress)
    const { isa, threads } = engine.report.native
    const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', isa, threads }
    const report = { model: model.id, quantization: quantization ?? 'unknown', ...machine }
    const { iterations, warmup } = options
    const text = options.json
      ? JSON.stringify({ ...report, iterations, warmup, rows }, null, 2)
      : table(report, rows, options)
    process.stdout.write(`${text}\n`)
    return 0
  } finally {
    await engine.dispose()
  }
}

/** @throws EngineError before anything is measured, when one of the runs does not fit into the context */
export async function measure(
  engine: Pick<Engine, 'submit'>,
  { vocabSize, maxModelLen }: Pick<ModelInfo, 'vocabSize' | 'maxModelLen'>,
  options: Pick<
    BenchOptions,
    'promptLen' | 'depth' | 'concurrency' | 'genLen' | 'iterations' | 'warmup'
  >,
  progress: Pick<Progress, 'update'>,
): Promise<BenchRow[]> {
  const { promptLen, depth, concurrency, genLen } = options
  const prefills = promptLen
    .filter(length => length > 0)
    .map(length => ({ test: 'prefill' as const, promptTokens: length, genTokens: 0, streams: 1 }))
  // The first token comes out of the prefill; the time is that of the others.
  const decodes = depth
    .filter(() => genLen >= 2)
    .flatMap(depth => concurrency.map(streams => ({ depth, streams })))
    .map(({ depth, streams }) => ({
      test: 'decode' as const,
      promptTokens: depth,
      genTokens: genLen - 1,
      streams,
    }))
  const rows: BenchRow[] = []
  const tests = [...prefills, ...decodes]
  for (const { promptTokens, genTokens } of tests) {
    if (promptTokens + genTokens + 1 <= (maxModelLen ?? Infinity)) continue
    const message = `a run of ${promptTokens} + ${genTokens + 1} tokens does not fit into the context of ${maxModelLen} (see --pa-context-len)`
    throw new EngineError({ kind: 'context_length', message })
  }
  for (const { test, promptTokens, genTokens, streams } of tests) {
    progress.update('Measuring', rows.length, tests.length, 'items')
    const jobs = Array.from({ length: streams }, (_, i) =>
      job(promptTokens, genTokens + 1, vocabSize ?? 1, i),
    )
    const speeds: number[] = []
    const latencies: number[] = []
    for (let i = -options.warmup; i < options.iterations; i++) {
      const usages = await Promise.all(jobs.map(job => measured(engine, job)))
      if (i < 0) continue
      const [tokens, ms] =
        test === 'prefill'
          ? [promptTokens, Math.max(...usages.map(usage => usage.promptMs))]
          : [streams * genTokens, decodeMs(usages)]
      speeds.push((tokens / ms) * 1000)
      latencies.push(
        ...usages.map(usage =>
          test === 'prefill' ? usage.promptMs : usage.completionMs / genTokens,
        ),
      )
    }
    const [tokensPerSecond, latencyMs] = [summarize(speeds), summarize(latencies)]
    const concurrency = streams
    rows.push({ test, promptTokens, genTokens, concurrency, tokensPerSecond, latencyMs })
  }
  progress.update('Measuring', tests.length, tests.length, 'items')
  return rows
}

/** From the first token of any stream to the last of all; they were submitted together. */
function decodeMs(usages: readonly Usage[]): number {
  const firsts = usages.map(usage => usage.promptMs)
  const lasts = usages.map(usage => usage.promptMs + usage.completionMs)
  return Math.max(...lasts) - Math.min(...firsts)
}

async function measured(engine: Pick<Engine, 'submit'>, job: GenerateJob): Promise<Usage> {
  const { usage } = await runTurn(engine, job, new AbortController().signal)
  if (usage === undefined) throw new Error('the engine ended a benchmark run without usage')
  if (usage.completionTokens !== job.maxTokens) {
    throw new Error(
      `a benchmark run ended after ${usage.completionTokens} of ${job.maxTokens} tokens`,
    )
  }
  return usage
}

/** Fixed pseudo-random prompt, forced length. Source of the generator: Lehmer, MINSTD multiplier 48271. */
function job(
  promptTokens: number,
  genTokens: number,
  vocabSize: number,
  stream: number,
): GenerateJob {
  let state = stream + 1
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

function table(
  report: Record<string, string | number>,
  rows: readonly BenchRow[],
  options: BenchOptions,
): string {
  const facts = Object.entries(report).map(([name, value]) => `${name}: ${value}`)
  const cells = rows.map(({ test, promptTokens, genTokens, concurrency, ...row }) => [
    test === 'prefill'
      ? `prefill ${promptTokens}`
      : `decode ${genTokens} @ ${promptTokens}${concurrency > 1 ? ` x ${concurrency}` : ''}`,
    `${row.tokensPerSecond.mean.toFixed(1)} ± ${row.tokensPerSecond.stddev.toFixed(1)}`,
    `${row.latencyMs.mean.toFixed(2)} ms ${test === 'prefill' ? 'TTFT' : 'TPOT'}`,
  ])
  const lines = [['Test', 'T/s', 'Latency'], ...cells]
  const widths = [0, 1, 2].map(i => Math.max(...lines.map(line => (line[i] ?? '').length)))
  return [
    facts.join(' · '),
    `iterations: ${options.iterations}, warm-up: ${options.warmup}`,
    '',
    ...lines.map(line =>
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join(' | ')
        .trimEnd(),
    ),
  ].join('\n')
}
