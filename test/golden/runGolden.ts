import { readdir } from 'node:fs/promises'
import { z } from 'zod'
import { UnsupportedModelError } from '../../runtime/config/unsupportedModelError.ts'
import { type PreparedModel, prepareModel } from '../../runtime/models/loadModel.ts'
import type { Backend, Isa, NativeBinding } from '../../runtime/native.ts'
import { type Bars, type Comparison, compareGolden, compareRealGolden } from './compareGolden.ts'
import { compareEmbeddings } from './embeddingGolden.ts'
import {
  type Golden,
  readEmbeddingGolden,
  readGolden,
  readRealGolden,
  UnsupportedGoldenError,
} from './goldenFile.ts'
import { NativeSession } from './nativeSession.ts'

export interface GoldenOptions {
  backends: readonly Backend[]
  isa?: Isa
  threads: number
  /** Default true: the plan the engine runs. */
  fuse?: boolean
}

export type GoldenOutcome =
  | { kind: 'unsupported'; reason: string }
  | { kind: 'failed'; backend: string; reason: string }
  | { kind: 'ran'; backend: string; comparison: Comparison; determinism?: string }

/** `max |difference| / std(logits)` of float32 arithmetic in another order, and of fast float32 kernels. */
const referenceBars: Bars = { worst: 3e-4, margin: 5e-3 }
const fastBars: Bars = { worst: 2e-3, margin: 5e-3 }
/** Activations, keys and values in float16 (11 bits), whatever the weights. */
const cudaBars: Bars = { worst: 0.04, margin: 0.1 }
/**
 * 8-bit activations. Measured over the `gguf-*` fixtures: 0.019 to 0.035 here, 0.022 to 0.042 in llama.cpp (its K-quants share
 * a scale over 256 activations instead of 32); the bar leaves room for other seeds.
 */
const quantizedBars: Bars = { rms: 0.06, margin: 0.5 }
/** Over the best five logits of every step of a published model; llama.cpp is at 0.060 on SmolLM2 Q4_1. */
const realQuantizedBars: Bars = { rms: 0.1, margin: 0.5 }

const floatTypes: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16'])
const chunks = [1, 7, 64]

/** Compares one model folder with its golden on each backend. */
export async function runGolden(
  native: NativeBinding,
  folder: string,
  options: GoldenOptions,
): Promise<GoldenOutcome[]> {
  let golden: Golden
  let prepared: PreparedModel
  try {
    const names = await readdir(folder)
    if (names.includes('modules.json')) return await runEmbeddingGolden(native, folder, options)
    golden = await readGolden(folder, names)
    prepared = await prepareModel(folder, { fuse: options.fuse ?? true })
  } catch (error) {
    return [asOutcome(error)]
  }
  const runs = [...golden.cases, ...(golden.chat ? [golden.chat] : [])]
  const subject: Subject = {
    prepared,
    maxLength: Math.max(...runs.map(run => run.input_ids.length + run.greedy.tokens.length)),
    prompts: golden.cases.map(item => item.input_ids),
    quantizedBars,
    compare: (session, bars) => compareGolden(golden, prepared.plan, session, bars),
  }
  const outcomes = await runSubject(native, subject, options)
  if (golden.multimodal !== undefined) {
    outcomes.push({ kind: 'unsupported', reason: 'images and sound; the text cases ran' })
  }
  return outcomes
}

async function runEmbeddingGolden(
  native: NativeBinding,
  folder: string,
  options: GoldenOptions,
): Promise<GoldenOutcome[]> {
  const golden = await readEmbeddingGolden(folder)
  const prepared = await prepareModel(folder, { fuse: options.fuse ?? true })
  const prompts = golden.cases.map(item => item.input_ids)
  const subject: Subject = {
    prepared,
    maxLength: Math.max(...prompts.map(prompt => prompt.length)),
    prompts,
    quantizedBars,
    compare: (session, bars) => compareEmbeddings(golden, session, bars),
  }
  return runSubject(native, subject, options)
}

/** Compares a published model with a `NAME.logits-golden.json` on each backend. */
export async function runRealGolden(
  native: NativeBinding,
  goldenFile: string,
  modelPath: string,
  options: GoldenOptions,
): Promise<GoldenOutcome[]> {
  try {
    const golden = await readRealGolden(goldenFile)
    const prepared = await prepareModel(modelPath, { fuse: options.fuse ?? true })
    const lengths = golden.cases.map(item => item.input_ids.length + item.steps.length)
    const subject: Subject = {
      prepared,
      maxLength: Math.max(...lengths),
      prompts: golden.cases.map(item => item.input_ids),
      quantizedBars: realQuantizedBars,
      compare: (session, bars) => compareRealGolden(golden, session, bars),
    }
    return await runSubject(native, subject, options)
  } catch (error) {
    return [asOutcome(error)]
  }
}

function asOutcome(error: unknown): GoldenOutcome {
  if (error instanceof UnsupportedModelError || error instanceof UnsupportedGoldenError) {
    return { kind: 'unsupported', reason: error.message }
  }
  const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
  return { kind: 'failed', backend: '-', reason }
}

/** A model with what it is compared with. */
interface Subject {
  prepared: PreparedModel
  maxLength: number
  prompts: number[][]
  quantizedBars: Bars
  compare(session: NativeSession, bars: Bars): Promise<Comparison>
}

async function runSubject(
  native: NativeBinding,
  subject: Subject,
  options: GoldenOptions,
): Promise<GoldenOutcome[]> {
  const outcomes: GoldenOutcome[] = []
  for (const backend of options.backends) {
    try {
      outcomes.push(await runBackend(native, subject, backend, options))
    } catch (error) {
      outcomes.push({ kind: 'failed', backend, reason: String(error) })
    }
  }
  return outcomes
}

async function runBackend(
  native: NativeBinding,
  { prepared, maxLength, prompts, quantizedBars: own, compare }: Subject,
  backend: Backend,
  options: GoldenOptions,
): Promise<GoldenOutcome> {
  const isa = options.isa && backend === 'cpu' ? { isa: options.isa } : {}
  const open = (threads: number) =>
    NativeSession.open(native, prepared, {
      backend,
      ...isa,
      threads,
      maxLength,
      kvType: backend === 'cuda' ? 'f16' : 'f32',
    })
  const session = await open(options.threads)
  try {
    const comparison = await compare(session, barsFor(prepared, backend, own))
    if (backend !== 'cpu') return { kind: 'ran', backend, comparison }
    const name = `cpu ${session.model.info.isa}`
    const other = await open(options.threads === 1 ? 2 : 1)
    try {
      const cuts = prepared.wholePrompts ? [] : chunks
      const determinism = await compareBitwise(prompts, cuts, session, other)
      if (determinism !== 'bitwise') comparison.failures.push(determinism)
      return { kind: 'ran', backend: name, comparison, determinism }
    } finally {
      await other.dispose()
    }
  } finally {
    await session.dispose()
  }
}

function barsFor(prepared: PreparedModel, backend: Backend, quantized: Bars): Bars {
  if (backend === 'reference') return referenceBars
  const isFloat = prepared.weights.every(
    weight => weight.rows === 1 || weight.parts.every(part => floatTypes.has(part.type)),
  )
  if (!isFloat) return quantized
  return backend === 'cuda' ? cudaBars : fastBars
}

/** Last logits must have the same bits however the prompt is cut and whatever the number of threads. */
async function compareBitwise(
  prompts: readonly number[][],
  cuts: readonly number[],
  session: NativeSession,
  other: NativeSession,
): Promise<string> {
  for (const tokens of prompts) {
    const where = `prompt of ${tokens.length}`
    const whole = await session.lastLogits(tokens)
    for (const chunk of cuts) {
      if (chunk >= tokens.length) continue
      const pieces = await session.lastLogits(tokens, chunk)
      if (!sameBits(whole, pieces)) return `${where}: chunk ${chunk} differs`
    }
    if (!sameBits(whole, await other.lastLogits(tokens))) return `${where}: threads differ`
  }
  return 'bitwise'
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  )
}
