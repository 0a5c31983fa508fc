import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadNative } from '../runtime/loadNative.ts'
import { prepareModel } from '../runtime/models/loadModel.ts'
import type { Isa } from '../runtime/native.ts'
import { readGolden } from '../test/golden/goldenFile.ts'
import { NativeSession } from '../test/golden/nativeSession.ts'

/**
 * `npm run bench:accuracy -- [--fixtures DIR] [--model F.gguf]…`: how far the rounding of activations to 8 bit takes mistralrs, with
 * each kernel variant, and llama.cpp from logits in float32. Those are the goldens of every `gguf-*` folder, and for
 * a model given the reference executor's. Compared are the five best logits after every token, in standard deviations of
 * all logits. Both engines cache keys and values in f16, their default. Needs bench/peers/requirements.txt.
 */

const root = join(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    fixtures: { type: 'string', default: join(root, '../shared/fixtures') },
    model: { type: 'string', multiple: true, default: [] },
    python: { type: 'string', default: process.env.PYTHON ?? 'python3' },
  },
})

/** A token after which logits are compared. */
interface Position {
  /** Ids and logits of the best, best first. */
  best: [id: number, logit: number][]
  /** Standard deviation of all logits. */
  scale: number
}

interface Subject {
  name: string
  path: string
  prompts: number[][]
  /** Of each prompt. */
  expected: Position[][]
}

interface Distance {
  rms: number
  max: number
  /** Positions whose best token is the expected one. */
  agree: number
}

/** Logits after every token of one prompt. */
type Rows = Iterable<Float32Array> | AsyncIterable<Float32Array>

const native = await loadNative()
const threads = 2
const numBest = 5
const promptLengths = [200, 200, 200, 200]

async function goldenSubject(folder: string): Promise<Subject> {
  const { cases } = await readGolden(folder, readdirSync(folder))
  return {
    name: basename(folder).replace('gguf-', ''),
    path: join(folder, 'model.gguf'),
    prompts: cases.map(item => item.input_ids),
    expected: cases.map(item => {
      const scale = standardDeviation(item.last_logits)
      return item.top5.map(best => ({ best, scale }))
    }),
  }
}

/** Any model: tokens of a fixed random sequence, logits of the reference executor. */
async function modelSubject(path: string): Promise<Subject> {
  const { config } = await prepareModel(path)
  let state = 1
  const token = () => {
    state = (state * 48271) % 2147483647
    return state % config.vocabSize
  }
  const prompts = promptLengths.map(length => Array.from({ length }, token))
  const expected: Position[][] = []
  await ourLogits(path, prompts, { backend: 'reference', kvType: 'f32' }, async rows => {
    const positions: Position[] = []
    for await (const row of rows) {
      const best = bestIds(row).map((id): [number, number] => [id, row[id] ?? 0])
      positions.push({ best, scale: standardDeviation(row) })
    }
    expected.push(positions)
  })
  return { name: basename(path, '.gguf'), path, prompts, expected }
}

async function ourLogits(
  path: string,
  prompts: number[][],
  options: { backend: 'reference' | 'cpu'; isa?: Isa; kvType: 'f16' | 'f32' },
  take: (rows: Rows, prompt: number) => Promise<void>,
): Promise<void> {
  const prepared = await prepareModel(path)
  const maxLength = Math.max(...prompts.map(tokens => tokens.length))
  const session = await NativeSession.open(native, prepared, { ...options, threads, maxLength })
  for (const [i, tokens] of prompts.entries()) await take(session.allLogits(tokens), i)
  await session.dispose()
}

async function llamaCppLogits(
  path: string,
  prompts: number[][],
  take: (rows: Rows, prompt: number) => Promise<void>,
): Promise<void> {
  const script = join(root, 'bench/peers/logits_llama_cpp.py')
  const { status, stdout, stderr } = spawnSync(values.python, [script], {
    input: JSON.stringify({ model: path, threads, prompts }),
    maxBuffer: 2 ** 31 - 1,
  })
  if (status !== 0) throw new Error(`llama.cpp on ${path}:\n${stderr}`)
  const all = new Float32Array(new Uint8Array(stdout).buffer)
  const vocab = all.length / prompts.flat().length
  let at = 0
  for (const [i, tokens] of prompts.entries()) {
    const start = at
    at += tokens.length * vocab
    const rows = tokens.map((_, t) => all.subarray(start + t * vocab, start + (t + 1) * vocab))
    await take(rows, i)
  }
}

/** Collects differences from a subject's logits. */
class Comparison {
  readonly #subject: Subject
  #squares = 0
  #count = 0
  #max = 0
  #agree = 0

  constructor(subject: Subject) {
    this.#subject = subject
  }

  readonly take = async (rows: Rows, prompt: number): Promise<void> => {
    let t = 0
    for await (const row of rows) {
      const { best = [], scale = 1 } = this.#subject.expected[prompt]?.[t++] ?? {}
      for (const [id, logit] of best) {
        const difference = Math.abs((row[id] ?? Number.NaN) - logit) / scale
        this.#squares += difference ** 2
        this.#count++
        // NaN must not hide behind a comparison.
        this.#max = Math.max(this.#max, difference)
      }
      if (bestIds(row)[0] === best[0]?.[0]) this.#agree++
    }
  }

  get distance(): Distance {
    const rms = Math.sqrt(this.#squares / this.#count)
    const positions = this.#subject.prompts.flat().length
    return { rms, max: this.#max, agree: this.#agree / positions }
  }
}

function bestIds(row: Float32Array): number[] {
  const best: number[] = []
  for (let id = 0; id < row.length; id++) {
    const at = best.findIndex(other => (row[id] ?? 0) > (row[other] ?? 0))
    if (at < 0 && best.length >= numBest) continue
    best.splice(at < 0 ? best.length : at, 0, id)
    best.length = Math.min(best.length, numBest)
  }
  return best
}

function standardDeviation(values: ArrayLike<number>): number {
  const all = Array.from(values)
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length
  return Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length)
}

const folders = existsSync(values.fixtures)
  ? readdirSync(values.fixtures).filter(name => name.startsWith('gguf-'))
  : []
const { brand, isas } = native.cpuInfo()
const day = new Date().toISOString().slice(0, 10)
console.log(`${brand || cpus()[0]?.model} · ${threads} threads · ${day}\n`)
const columns = isas.map(isa => `${isa} rms | max | best | rms ratio |`).join(' ')
console.log(`| weights | llama.cpp rms | max | best | ${columns}`)
console.log(`|---|---|---|---|${isas.map(() => '---|---|---|---|').join('')}`)
let worst = 0
for (const make of [
  ...folders.map(name => () => goldenSubject(join(values.fixtures, name))),
  ...values.model.map(path => () => modelSubject(path)),
]) {
  const subject = await make()
  const { name, path, prompts } = subject
  const cells = [name]
  const add = ({ rms, max, agree }: Distance) =>
    cells.push(rms.toFixed(4), max.toFixed(3), `${(agree * 100).toFixed(1)} %`)
  const peer = new Comparison(subject)
  await llamaCppLogits(path, prompts, peer.take)
  add(peer.distance)
  for (const isa of isas) {
    const ours = new Comparison(subject)
    await ourLogits(path, prompts, { backend: 'cpu', isa, kvType: 'f16' }, ours.take)
    add(ours.distance)
    const ratio = ours.distance.rms / peer.distance.rms
    worst = Math.max(worst, ratio)
    cells.push(ratio.toFixed(2))
  }
  console.log(`| ${cells.join(' | ')} |`)
}
console.log(`\nworst ratio ${worst.toFixed(2)}`)
