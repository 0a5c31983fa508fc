import type { Golden, GoldenCase, RealGolden } from './goldenFile.ts'
import type { NativeSession } from './nativeSession.ts'
import { probeBefore } from './planProbe.ts'

/** How near a run must come to its golden. */
export interface Bars {
  /** Largest |difference| of a last logit, in standard deviations of the golden logits. */
  worst?: number
  /** Root mean square of the differences, in the same unit; what 8-bit activations are held to. */
  rms?: number
  /** Greedy tokens must agree up to the first margin below this, and best tokens where the lead is at least this. */
  margin: number
}

export interface Comparison {
  worst: number
  rms: number
  /** Tokens that agree and those compared. */
  greedy: Tally
  chat: Tally
  /** Positions whose best token agrees and those compared. */
  argmax: Tally
  /** What is beyond the bars, one line each. */
  failures: string[]
}

export interface Tally {
  equal: number
  of: number
}

/** Runs every case of a golden through a session. */
export async function compareGolden(
  golden: Golden,
  plan: string,
  session: NativeSession,
  bars: Bars,
): Promise<Comparison> {
  const result = newComparison()
  const fail = (text: string) => result.failures.push(text)
  for (const item of golden.cases) {
    const last = await comparePositions(item, session, bars, result.argmax)
    const distance = distanceOf(last, item.last_logits)
    result.worst = Math.max(result.worst, distance.worst)
    result.rms = Math.max(result.rms, distance.rms)
    check(`${item.name} logits`, distance, bars, fail)
    await compareStages(item, plan, session, bars, fail)
    const { tokens, margins } = item.greedy
    const generated = await session.greedy(item.input_ids, tokens.length)
    count(result.greedy, compareGreedy(tokens, margins, generated, bars.margin))
  }
  if (golden.chat) {
    const { tokens, margins } = golden.chat.greedy
    const generated = await session.greedy(golden.chat.input_ids, tokens.length)
    count(result.chat, compareGreedy(tokens, margins, generated, bars.margin))
  }
  failOnTallies(result)
  return result
}

/** Feeds each golden continuation of a published model and compares the best tokens at every step. */
export async function compareRealGolden(
  golden: RealGolden,
  session: NativeSession,
  bars: Bars,
): Promise<Comparison> {
  const result = newComparison()
  const pooled = { squares: 0, of: 0 }
  for (const { input_ids: prompt, steps } of golden.cases) {
    const fed = [...prompt, ...steps.slice(0, -1).map(step => step.token)]
    let position = 0
    for await (const logits of session.allLogits(fed)) {
      const step = steps[position++ - prompt.length + 1]
      if (!step) continue
      if (step.margin >= bars.margin) {
        count(result.argmax, { equal: argmax(logits) === step.token ? 1 : 0, of: 1 })
      }
      const scale = standardDeviation(logits)
      const differences = step.top5.map(([id, logit]) => (logits[id] ?? Number.NaN) - logit)
      const largest = Math.max(...differences.map(difference => Math.abs(difference) / scale))
      result.worst = Math.max(largest, result.worst)
      for (const difference of differences) pooled.squares += (difference / scale) ** 2
      pooled.of += differences.length
    }
    const margins = steps.map(step => step.margin)
    const tokens = steps.map(step => step.token)
    const generated = await session.greedy(prompt, tokens.length)
    count(result.greedy, compareGreedy(tokens, margins, generated, bars.margin))
  }
  result.rms = Math.sqrt(pooled.squares / pooled.of)
  check('best five logits', result, bars, text => result.failures.push(text))
  failOnTallies(result)
  return result
}

function newComparison(): Comparison {
  const none = () => ({ equal: 0, of: 0 })
  return { worst: 0, rms: 0, greedy: none(), chat: none(), argmax: none(), failures: [] }
}

function failOnTallies(result: Comparison): void {
  for (const kind of ['argmax', 'greedy', 'chat'] as const) {
    const { equal, of } = result[kind]
    if (equal < of) result.failures.push(`${kind}: ${equal} of ${of} agree`)
  }
}

/** Best token wherever the golden's lead is clear; returns the last position's logits. */
async function comparePositions(
  item: GoldenCase,
  session: NativeSession,
  bars: Bars,
  tally: Tally,
): Promise<Float32Array> {
  let last: Float32Array = new Float32Array()
  let position = 0
  for await (const logits of session.allLogits(item.input_ids)) {
    const [first, second] = item.top5[position] ?? []
    if (first && (!second || first[1] - second[1] >= bars.margin)) {
      const isEqual = argmax(logits) === item.argmax[position]
      count(tally, { equal: isEqual ? 1 : 0, of: 1 })
    }
    last = logits
    position++
  }
  return last
}

/** Embeddings and the first layer's output, where the golden has them. */
async function compareStages(
  item: GoldenCase,
  plan: string,
  session: NativeSession,
  bars: Bars,
  fail: (text: string) => void,
): Promise<void> {
  const stages = [
    { name: 'embeddings', golden: item.embeddings, layer: 0 },
    { name: 'hidden_after_layer0', golden: item.hidden_after_layer0, layer: 1 },
  ]
  for (const { name, golden, layer } of stages) {
    if (!golden) continue
    const { op, buffer } = probeBefore(plan, `model.layers.${layer}.input_layernorm.weight`)
    const values = await session.bufferAfter(item.input_ids, op, buffer)
    check(`${item.name} ${name}`, distanceOf(values, golden.flat()), bars, fail)
  }
}

function check(
  what: string,
  distance: { worst: number; rms: number },
  bars: Bars,
  fail: (text: string) => void,
): void {
  for (const kind of ['worst', 'rms'] as const) {
    const bar = bars[kind]
    if (bar !== undefined && !(distance[kind] <= bar)) {
      fail(`${what}: ${kind} ${distance[kind].toExponential(1)} above ${bar}`)
    }
  }
}

function distanceOf(values: Float32Array, golden: readonly number[]) {
  if (values.length !== golden.length) return { worst: Number.NaN, rms: Number.NaN }
  const std = standardDeviation(golden)
  let worst = 0
  let squares = 0
  golden.forEach((x, i) => {
    const difference = Math.abs((values[i] ?? Number.NaN) - x)
    // NaN must not hide behind a comparison.
    worst = Math.max(difference, worst)
    squares += difference ** 2
  })
  return { worst: worst / std, rms: Math.sqrt(squares / golden.length) / std }
}

function standardDeviation(values: Float32Array | readonly number[]): number {
  let [sum, squares] = [0, 0]
  for (const x of values) {
    sum += x
    squares += x * x
  }
  return Math.sqrt(squares / values.length - (sum / values.length) ** 2)
}

/** Counts tokens up to the first margin too small to decide, and stops at the first that differs. */
function compareGreedy(
  golden: readonly number[],
  margins: readonly number[],
  generated: readonly number[],
  margin: number,
): Tally {
  const close = margins.findIndex(m => m < margin)
  const of = close < 0 ? golden.length : close
  const differs = golden.slice(0, of).findIndex((token, i) => token !== generated[i])
  return { equal: differs < 0 ? of : differs, of }
}

function count(tally: Tally, more: Tally): void {
  tally.equal += more.equal
  tally.of += more.of
}

function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? 0) ? i : best), 0)
}
