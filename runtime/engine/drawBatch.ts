import { setBit } from '../grammar/bits.ts'
import type { SampleBatch, SampleResult } from '../native.ts'
import type { Sequence } from '../scheduler/sequence.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'

/** The rows of a step that are still to be drawn, and where their results go. */
export interface DrawBatch {
  sample: SampleBatch
  /** [S] rows of the plan. */
  planRows: number[]
}

/** Whether rows of the step can be drawn only once the results of the step before are known. */
export function isConstrained({ sampled }: StepPlan): boolean {
  return sampled.some(({ options }) => options.constraint !== undefined)
}

/** Does the long part of `drawBatch`, without holding up the event loop. */
export async function prepareDraw({ sampled }: Pick<StepPlan, 'sampled'>): Promise<void> {
  for (const sequence of sampled) {
    if (sequence.state === 'finished') continue
    const { constraint } = sequence.options
    await constraint?.prepareForced(remainingTokens(sequence))
    if (sequence.forcedTokens().length === 0) {
      await constraint?.prepareFill(remainingTokens(sequence))
    }
  }
}

/**
 * What a step draws, with the masks of constrained rows. To be called once, when the results of all earlier steps have been taken,
 * since masks depend on them; sequences that have ended by then draw nothing. A sequence whose next tokens are certain takes
 * them here: the first is drawn, so that the slot's rules hold for it, and the next step computes the rest as it does a prompt.
 */
export function drawBatch({ sample, sampled, forced }: StepPlan, vocabSize: number): DrawBatch {
  const planRows = sampled.flatMap(({ state }, row) => (state === 'finished' ? [] : [row]))
  const pick = (values: Int32Array) => Int32Array.from(planRows, row => values[row] ?? -1)
  const { rows, slots, positions } = sample
  const numWords = Math.ceil(vocabSize / 32)
  const words = new Uint32Array(planRows.length * numWords)
  const masked = new Uint8Array(planRows.length)
  const start = new Int32Array(planRows.length + 1)
  const following: number[] = []
  for (const [i, row] of planRows.entries()) {
    start[i + 1] = following.length
    const sequence = sampled[row]
    if (sequence?.options.constraint === undefined) continue
    const mask = words.subarray(i * numWords, (i + 1) * numWords)
    const [first, ...rest] = sequence.forcedTokens()
    if (first === undefined) {
      masked[i] = sequence.options.constraint.fill(mask, remainingTokens(sequence)) ? 1 : 0
      continue
    }
    setBit(mask, first)
    masked[i] = 1
    following.push(...rest)
    start[i + 1] = following.length
    sequence.force([first, ...rest])
    forced.add(sequence)
  }
  return {
    sample: {
      rows: pick(rows),
      slots: pick(slots),
      positions: pick(positions),
      ...(masked.includes(1) && { masks: { words, masked } }),
      ...(following.length > 0 && {
        following: { start, tokens: Int32Array.from(following) },
      }),
    },
    planRows,
  }
}

/** The results with one entry for each row of the plan; -1 for those that drew nothing. */
export function forPlan(
  result: SampleResult,
  planRows: number[],
  { sampled }: StepPlan,
): SampleResult {
  const numRows = sampled.length
  if (planRows.length === numRows) return result
  const { maxTop } = result
  const all: SampleResult = {
    tokens: new Int32Array(numRows).fill(-1),
    logprobs: new Float32Array(numRows),
    topIds: new Int32Array(numRows * maxTop).fill(-1),
    topLogprobs: new Float32Array(numRows * maxTop),
    maxTop,
  }
  for (const [i, row] of planRows.entries()) {
    all.tokens[row] = result.tokens[i] ?? -1
    all.logprobs[row] = result.logprobs[i] ?? 0
    all.topIds.set(result.topIds.subarray(i * maxTop, (i + 1) * maxTop), row * maxTop)
    all.topLogprobs.set(result.topLogprobs.subarray(i * maxTop, (i + 1) * maxTop), row * maxTop)
  }
  return all
}

function remainingTokens(sequence: Sequence): number {
  return sequence.options.maxLength - sequence.length
}
