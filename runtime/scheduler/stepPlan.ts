import type { SampleBatch, StepBatch } from '../native.ts'
import type { FilledPage } from './kvCache.ts'
import type { Sequence } from './sequence.ts'
import type { StepBatchBuilder } from './stepBatch.ts'

/** One step: run `batch`, draw `sample`, score `score`, copy `copies`, in this order. Valid until the next plan. */
export interface StepPlan {
  id: number
  batch: StepBatch
  sample: SampleBatch
  /** The sequence of each sampled row. */
  sampled: Sequence[]
  /** Those of them that must draw a certain token, and others after it; known when the step is drawn. */
  forced: Set<Sequence>
  /** Tokens known before they are computed (of prompts, or forced) to score: `row` is a logit row, `position` that of the token. */
  score: { sequence: Sequence; row: number; position: number }[]
  copies: { from: number[]; to: number[] }
  /** Results to read as they are: `row` is a logit row. */
  pooled: { sequence: Sequence; row: number }[]
  numDecodeRows: number
  numPrefillTokens: number
  /** From earlier steps. */
  expectedMs: number
}

/** What becomes of the results of a step, kept until it is done. */
export interface StepRecord {
  id: number
  sampled: Sequence[]
  numDecodeRows: number
  numPrefillTokens: number
  /** `known`: tokens known then, up to the one that the last of the row's logits predict. */
  computed: { sequence: Sequence; end: number; known: number }[]
  /** Those of `sampled` whose tokens were known before they were drawn. */
  forced: Set<Sequence>
  /** Sequences that wanted their prompt computed and nothing drawn. */
  prefilled: Sequence[]
  filled: FilledPage[]
}

/** A step in the making: who takes part with which tokens, and which rows are scored and drawn. */
export class StepDraft {
  readonly record: StepRecord
  readonly copies: StepPlan['copies'] = { from: [], to: [] }
  readonly #builder: StepBatchBuilder
  readonly #sampleRows: number[] = []
  readonly #samplePositions: number[] = []
  readonly #score: StepPlan['score'] = []
  readonly #pooled: StepPlan['pooled'] = []

  /** @param builder reused by every step: one draft at a time */
  constructor(id: number, builder: StepBatchBuilder) {
    builder.reset()
    this.#builder = builder
    this.record = {
      id,
      sampled: [],
      numDecodeRows: 0,
      numPrefillTokens: 0,
      computed: [],
      forced: new Set(),
      prefilled: [],
      filled: [],
    }
  }

  get isEmpty(): boolean {
    return this.#builder.numTokens === 0
  }

  get numLogitRows(): number {
    return this.#builder.numLogitRows
  }

  /** Computes the sequence's tokens from where it is to `end`-1, and scores those that want it. */
  compute(sequence: Sequence, end: number): void {
    const from = sequence.planned
    if (sequence.remaining === 1) this.record.numDecodeRows++
    else this.record.numPrefillTokens += end - from
    const firstRow = this.#builder.numTokens
    this.#builder.addSequence(sequence, from, end)
    this.#addScoreRows(sequence, from, end, firstRow)
    this.record.computed.push({ sequence, end, known: Math.min(end + 1, sequence.length) })
    if (sequence.options.pooled && end === sequence.promptLength) {
      this.#pooled.push({ sequence, row: this.#builder.addLogitRow(this.#builder.numTokens - 1) })
    }
  }

  /** Draws the token at `position` for each of the choices, all from the last token computed. */
  sample(choices: readonly Sequence[], position: number): void {
    const row = this.#builder.addLogitRow(this.#builder.numTokens - 1)
    for (const choice of choices) {
      this.#sampleRows.push(row)
      this.#samplePositions.push(position)
      this.record.sampled.push(choice)
    }
  }

  plan(expectedMs: number): StepPlan {
    const { id, sampled, forced, numDecodeRows, numPrefillTokens } = this.record
    return {
      id,
      batch: this.#builder.batch(),
      sample: {
        rows: Int32Array.from(this.#sampleRows),
        slots: Int32Array.from(sampled, s => s.slot),
        positions: Int32Array.from(this.#samplePositions),
      },
      sampled,
      forced,
      score: this.#score,
      copies: this.copies,
      pooled: this.#pooled,
      numDecodeRows,
      numPrefillTokens,
      expectedMs,
    }
  }

  #addScoreRows(sequence: Sequence, from: number, end: number, firstRow: number): void {
    // Position 0 has no logits before it; row p scores the token at p + 1.
    for (let p = Math.max(from, sequence.scored); p < end && p + 1 < sequence.length; p++) {
      const row = this.#builder.addLogitRow(firstRow + p - from)
      this.#score.push({ sequence, row, position: p + 1 })
      sequence.scored = p + 1
    }
  }
}
