import type { TokenLogprob } from '../../edge/engine.ts'
import type { Sequence } from '../scheduler/sequence.ts'
import type { StepPlan } from '../scheduler/stepPlan.ts'
import type { StepResult } from './launchStep.ts'
import { type TokenBytes, tokenLogprob } from './output/tokenLogprob.ts'

/** The log-probabilities in the results of a step, as the contract shows them. */
export class StepLogprobs {
  readonly #score: StepPlan['score']
  readonly #result: StepResult
  readonly #bytesOf: TokenBytes

  constructor({ score }: StepPlan, result: StepResult, bytesOf: TokenBytes) {
    this.#score = score
    this.#result = result
    this.#bytesOf = bytesOf
  }

  /** Of prompt tokens, in order, by sequence. */
  prompts(): Map<Sequence, TokenLogprob[]> {
    const prompts = new Map<Sequence, TokenLogprob[]>()
    for (const [i, { sequence, position }] of this.#score.entries()) {
      if (position >= sequence.promptLength) continue
      const logprobs = prompts.get(sequence) ?? []
      const logprob = this.#scored(i, sequence.options.promptLogprobs ?? 0)
      if (logprob) logprobs.push(logprob)
      prompts.set(sequence, logprobs)
    }
    return prompts
  }

  /** Of the token that was last delivered: drawn in a row, or known before (-1); undefined when nobody asked. */
  ofDelivered(sequence: Sequence, row: number): TokenLogprob | undefined {
    const top = sequence.options.logprobs
    const position = sequence.delivered - 1
    if (top === undefined || position < sequence.promptLength) return undefined
    if (row >= 0) {
      const token = sequence.tokens[position] ?? -1
      return tokenLogprob(this.#bytesOf, token, this.#result.sampled, row, top)
    }
    const entry = this.#score.findIndex(s => s.sequence === sequence && s.position === position)
    return this.#scored(entry, top)
  }

  #scored(entry: number, top: number): TokenLogprob | undefined {
    const { scored } = this.#result
    const { sequence, position } = this.#score[entry] ?? {}
    if (scored === undefined || sequence === undefined || position === undefined) return undefined
    return tokenLogprob(this.#bytesOf, sequence.tokens[position] ?? -1, scored, entry, top)
  }
}
