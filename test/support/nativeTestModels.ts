import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { greedySlot } from '../../runtime/engine/slotOptions.ts'
import type {
  LoadSpec,
  SampleBatch,
  SlotOptions,
  StepBatch,
  WeightSpec,
} from '../../runtime/native.ts'

// Models small enough to know the answer by hand, for tests of the addon.

export const ints = (...values: number[]) => Int32Array.from(values)

/** One row of logits for one slot. */
export function one(slot: number, position: number, row = 0): SampleBatch {
  return { rows: ints(row), slots: ints(slot), positions: ints(position) }
}

/** A folder for weight files; `Symbol.dispose` removes it. */
export class WeightFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'mistralrs-native-'))
  #numFiles = 0;

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  /** Writes a weight and says how to load it. */
  weight(
    name: string,
    rows: number,
    cols: number,
    value: (r: number, c: number) => number,
    type: 'F16' | 'F32' = 'F32',
  ) {
    const values = { length: rows * cols }
    const at = (_: unknown, i: number) => value(Math.floor(i / cols), i % cols)
    const data = type === 'F16' ? Float16Array.from(values, at) : Float32Array.from(values, at)
    // A name of its own: an earlier file may still be mapped.
    const path = join(this.path, `${name}${this.#numFiles++}.bin`)
    writeFileSync(path, data)
    return floatWeight(name, path, rows, cols, type)
  }
}

function floatWeight(
  name: string,
  path: string,
  rows: number,
  cols: number,
  type: 'F16' | 'F32',
): WeightSpec {
  const bytes = rows * cols * (type === 'F16' ? 2 : 4)
  const part = { path, offset: 0, bytes, type, rows, cols }
  return { name, rows, cols, parts: [part] }
}

export const cycleVocab = 8
const cycleWidth = 16

/**
 * After token t, token t + 1 (mod 8) has a logit near 10 and all others near 0. Attention is part of the way: a query sees
 * its own token among the keys and hardly any other.
 */
export function cycleModel(
  folder: WeightFolder,
  backend: LoadSpec['backend'],
  change: { plan?: (plan: string) => string } = {},
): LoadSpec {
  const plan = `plan 1
vocab ${cycleVocab}
group 0 kind=full kv_heads=1 head_dim=${cycleWidth} layers=1 page_tokens=16
weight w0 rows=${cycleVocab} cols=${cycleWidth} name=embed
weight w1 rows=${cycleVocab} cols=${cycleWidth} name=head
buffer b0 rows=T width=${cycleWidth} at=0
buffer b1 rows=T width=${cycleWidth} at=${cycleWidth}
buffer b2 rows=L width=${cycleWidth} at=0
buffer b3 rows=L width=${cycleVocab} at=${cycleWidth}
op embed out=b0 weight=w0 scale=1
op kv_write k=b0 v=b0 group=0 layer=0
op attention q=b0 out=b1 group=0 layer=0 heads=1 scale=0.25 softcap=0
op select_rows in=b1 out=b2
op linear in=b2 out=b3 weights=w1
logits b3
`
  return {
    plan: change.plan?.(plan) ?? plan,
    weights: [
      folder.weight('embed', cycleVocab, cycleWidth, (r, c) => (r === c ? 10 : 0)),
      folder.weight('head', cycleVocab, cycleWidth, (r, c) =>
        r === (c + 1) % cycleVocab && c < cycleVocab ? 1 : 0,
      ),
    ],
    backend,
    threads: 2,
    maxTokens: 32,
    maxSequences: 4,
    maxLogitRows: 8,
    maxSlots: 3,
    kv: { numPages: 4, pageBytes: 16 * cycleWidth * 2 * 4, type: 'f32', poison: true },
  }
}

const tableWidth = 160
export const tablePageTokens = 16
export const tablePageBytes = tablePageTokens * tableWidth * 2 * 2

/**
 * Logits that depend on the last token and on how often another one, which it asks for, came before: numbers that float16 holds,
 * so that they are the same but for the last bit in every kernel and batch.
 */
export function tableModel(
  folder: WeightFolder,
  spec: Pick<LoadSpec, 'backend'> & { vocab: number; numPages: number },
): LoadSpec {
  const { vocab, backend, numPages } = spec
  const random = (r: number, c: number) => ((r * 7919 + c * 104729) % 1009) / 256 - 2
  const weight = (name: string, rows: number, value: (r: number, c: number) => number) =>
    folder.weight(name, rows, tableWidth, value, 'F16')
  return {
    plan: `plan 1
vocab ${vocab}
group 0 kind=full kv_heads=1 head_dim=${tableWidth} layers=1 page_tokens=${tablePageTokens}
weight w0 rows=${vocab} cols=${tableWidth} name=embed
weight w1 rows=${tableWidth} cols=${tableWidth} name=query
weight w2 rows=${vocab} cols=${tableWidth} name=head
buffer b0 rows=T width=${tableWidth} at=0
buffer b1 rows=T width=${tableWidth} at=${tableWidth}
buffer b2 rows=T width=${tableWidth} at=${2 * tableWidth}
buffer b3 rows=L width=${tableWidth} at=0
buffer b4 rows=L width=${vocab} at=${tableWidth}
op embed out=b0 weight=w0 scale=1
op linear in=b0 out=b1 weights=w1
op kv_write k=b0 v=b0 group=0 layer=0
op attention q=b1 out=b2 group=0 layer=0 heads=1 scale=0.25 softcap=0
op add a=b0 b=b2 out=b2 scale=0.125
op select_rows in=b2 out=b3
op linear in=b3 out=b4 weights=w2
logits b4
`,
    weights: [
      weight('embed', vocab, (r, c) => (r === c ? 8 : 0)),
      weight('query', tableWidth, (r, c) => (r === (c * 5 + 3) % vocab && c < vocab ? 1 : 0)),
      weight('head', vocab, random),
    ],
    backend,
    threads: 2,
    maxTokens: 64,
    maxSequences: 8,
    maxLogitRows: 16,
    maxSlots: 32,
    kv: { numPages, pageBytes: tablePageBytes, type: 'f16', poison: true },
  }
}

/** A model whose step of `slowBatch` takes about a second in the reference backend: ops of some ten milliseconds each. */
export function slowModel(folder: WeightFolder): LoadSpec {
  const width = 512
  const numOps = 60
  const square = folder.weight('square', width, width, (r, c) => (r === c ? 1 : 0))
  const lines = [`plan 1`, `vocab ${width}`]
  const linears: string[] = []
  for (let i = 0; i < numOps; i++) {
    lines.push(`weight w${i} rows=${width} cols=${width} name=square${i}`)
    const to = i === numOps - 1 ? 'b3' : `b${(i + 1) % 2}`
    if (i > 0)
      linears.push(`op linear in=${i === numOps - 1 ? 'b2' : `b${i % 2}`} out=${to} weights=w${i}`)
  }
  linears.splice(-1, 0, `op select_rows in=b${(numOps - 1) % 2} out=b2`)
  for (const [i, symbol] of ['T', 'T', 'L', 'L'].entries()) {
    lines.push(`buffer b${i} rows=${symbol} width=${width} at=${(i % 2) * width}`)
  }
  lines.push('op embed out=b1 weight=w0 scale=1', ...linears, 'logits b3')
  return {
    plan: `${lines.join('\n')}\n`,
    weights: Array.from({ length: numOps }, (_, i) => ({ ...square, name: `square${i}` })),
    backend: 'reference',
    threads: 1,
    maxTokens: 64,
    maxSequences: 1,
    maxLogitRows: 1,
    maxSlots: 1,
    kv: { numPages: 0, pageBytes: 0, type: 'f32' },
  }
}

/** One sequence without a KV cache. */
export function slowBatch(): StepBatch {
  return { ...prompt(new Array(64).fill(1)), pageTables: [] }
}

/** Tokens of one sequence from position `from` on, in the pages given; the logits of the last are kept. */
export function prompt(tokens: number[], { from = 0, pages = [0] } = {}): StepBatch {
  return {
    tokens: Int32Array.from(tokens),
    positions: Int32Array.from(tokens, (_, i) => from + i),
    queryStart: Int32Array.of(0, tokens.length),
    kvLength: Int32Array.of(from + tokens.length),
    pageTables: [{ start: Int32Array.of(0, pages.length), pages: Int32Array.from(pages) }],
    logitRows: Int32Array.of(tokens.length - 1),
  }
}

/** Greedy unless changed. */
export function slotOptions(change: Partial<SlotOptions> = {}): SlotOptions {
  return { ...greedySlot, seed: 1, ...change }
}
