import type { NativeModel, SampleResult, ScoreResult } from '../native.ts'
import type { StepPlan } from './stepPlan.ts'

export interface StepResult {
  sampled: SampleResult
  /** Present when the plan had tokens to score, entry by entry. */
  scored: ScoreResult | undefined
}

/** Queues the calls of a step, in the order of the contract; the plan's arrays may be reused when this returns. */
export async function launchStep(native: NativeModel, plan: StepPlan): Promise<StepResult> {
  const { copies } = plan
  const [, sampled, scored] = await Promise.all([
    native.forward(plan.batch),
    plan.sampled.length > 0 ? native.sample(plan.sample) : nothingSampled,
    plan.score.length > 0 ? native.score(scoreBatch(plan)) : undefined,
    copies.from.length > 0
      ? native.copyPages(Int32Array.from(copies.from), Int32Array.from(copies.to))
      : undefined,
  ])
  return { sampled, scored }
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
    top: Math.max(...score.map(s => s.sequence.options.promptLogprobs ?? 0)),
  }
}
