import type { NativeModel, SampleResult, ScoreResult } from '../native.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'
import { drawBatch, forPlan, isConstrained, prepareDraw } from './drawBatch.ts'

export interface StepResult {
  sampled: SampleResult
  /** Present when the plan had tokens to score, entry by entry. */
  scored: ScoreResult | undefined
  /** The result rows to read, in the order of the plan. */
  pooled: Float32Array[]
}

export interface LaunchedStep {
  result: Promise<StepResult>
  /**
   * Queues the drawing of tokens, when masks made it wait for the results of the step before; without effect the second time.
   * The next step may be launched when this has resolved.
   */
  draw: () => Promise<void>
}

/**
 * Queues the calls of a step, in the order of the contract; the plan's arrays may be reused when this returns. The tokens of a
 * step with constrained rows are drawn when `draw` says so: masks are computed while the step runs.
 */
export function launchStep(native: NativeModel, plan: StepPlan, vocabSize: number): LaunchedStep {
  const { copies } = plan
  const forward = native.forward(plan.batch)
  const scored = plan.score.length > 0 ? native.score(scoreBatch(plan)) : undefined
  const copied =
    copies.from.length > 0
      ? native.copyPages(Int32Array.from(copies.from), Int32Array.from(copies.to))
      : undefined
  const sampled = Promise.withResolvers<SampleResult>()
  const isHeld = isConstrained(plan)
  let drawing: Promise<void> | undefined
  const draw = async () => {
    if (isHeld) await prepareDraw(plan)
    sampled.resolve(drawTokens(native, plan, vocabSize))
  }
  if (!isHeld) drawing = draw()
  const pooled = Promise.all(plan.pooled.map(({ row }) => native.readLogits(row)))
  const result = Promise.all([forward, sampled.promise, scored, pooled, copied]).then(
    ([, tokens, scores, rows]) => ({ sampled: tokens, scored: scores, pooled: rows }),
  )
  // The loop awaits it later; until then a rejection is not unhandled.
  result.catch(() => {})
  return {
    result,
    draw: () => {
      drawing ??= draw()
      return drawing
    },
  }
}

async function drawTokens(
  native: NativeModel,
  plan: StepPlan,
  vocabSize: number,
): Promise<SampleResult> {
  if (plan.sampled.length === 0) return nothingSampled
  if (!isConstrained(plan)) return native.sample(plan.sample)
  const { sample, planRows } = drawBatch(plan, vocabSize)
  const result = planRows.length === 0 ? nothingSampled : await native.sample(sample)
  return forPlan(result, planRows, plan)
}

const nothingSampled: SampleResult = {
  tokens: new Int32Array(0),
  logprobs: new Float32Array(0),
  topIds: new Int32Array(0),
  topLogprobs: new Float32Array(0),
  maxTop: 0,
}

function scoreBatch({ score }: StepPlan) {
  return {
    rows: Int32Array.from(score, s => s.row),
    tokens: Int32Array.from(score, s => s.sequence.tokens[s.position] ?? 0),
    top: Math.max(
      ...score.map(({ sequence: { options } }) => options.promptLogprobs ?? options.logprobs ?? 0),
    ),
  }
}
