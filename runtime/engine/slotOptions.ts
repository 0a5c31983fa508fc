import type { SamplingOptions } from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import type { SlotOptions } from '../native.ts'

/** Seeds are taken into [0, 2^53). */
const seedRange = 2 ** 53
/** A bias from here down bans a token (the convention of OpenAI's `logit_bias`). */
const banBias = -100

/**
 * Settings of a sampling slot: what the request says, else what the model's files say, else neutral. `choice` is left at 0.
 * @param banned tokens that must not be drawn
 * @param history tokens of the prompt, for the repetition penalty
 */
export function slotOptions(
  request: SamplingOptions,
  defaults: GenerationDefaults,
  seed: number,
  topLogprobs: number,
  history: Int32Array,
  banned: readonly number[] = [],
): SlotOptions {
  const repetitionPenalty = request.repetitionPenalty ?? defaults.repetitionPenalty ?? 1
  const biases = new Map((defaults.suppressTokens ?? []).map(id => [id, -Infinity]))
  for (const [id, bias] of request.logitBias ?? []) {
    biases.set(id, bias <= banBias ? -Infinity : bias)
  }
  for (const id of banned) biases.set(id, -Infinity)
  return {
    temperature:
      request.temperature ?? (defaults.doSample === false ? 0 : (defaults.temperature ?? 1)),
    topK: Math.trunc(Math.min(2 ** 31 - 1, Math.max(0, request.topK ?? defaults.topK ?? 0))),
    topP: request.topP ?? defaults.topP ?? 1,
    minP: request.minP ?? defaults.minP ?? 0,
    frequencyPenalty: request.frequencyPenalty ?? 0,
    presencePenalty: request.presencePenalty ?? 0,
    repetitionPenalty,
    ...(repetitionPenalty !== 1 && { history }),
    ...(biases.size > 0 && {
      biasIds: Int32Array.from(biases.keys()),
      biasValues: Float32Array.from(biases.values()),
    }),
    seed: ((seed % seedRange) + seedRange) % seedRange,
    choice: 0,
    topLogprobs,
  }
}
