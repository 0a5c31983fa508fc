import type { SamplingOptions } from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import type { SlotOptions } from '../native.ts'

/** Seeds are taken into [0, 2^53). */
const seedRange = 2 ** 53
/** A bias from here down bans a token (the convention of OpenAI's `logit_bias`). */
const banBias = -100

/** The likeliest token, whatever came before; a sequence holds a slot even when nothing is drawn. */
export const greedySlot: Readonly<SlotOptions> = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  seed: 0,
  choice: 0,
  topLogprobs: 0,
}

/** What a slot is opened with beside what a request says of sampling. */
export interface SlotContext {
  seed: number
  topLogprobs: number
  /** Tokens of the prompt, for penalties of repetition. */
  history: Int32Array
  /** Tokens that must not be drawn. */
  banned?: readonly number[]
  /** Tokens that the runs of DRY do not reach across. */
  breakers?: Int32Array
}

/** Settings of a sampling slot: what the request says, else what the model's files say, else neutral. `choice` is left at 0. */
export function slotOptions(
  request: SamplingOptions,
  defaults: GenerationDefaults,
  { seed, topLogprobs, history, banned = [], breakers = noTokens }: SlotContext,
): SlotOptions {
  const { dry } = request
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
    ...((repetitionPenalty !== 1 || dry) && { history }),
    ...(dry && {
      dry: {
        multiplier: dry.multiplier,
        base: dry.base ?? 1.75,
        allowedLength: dry.allowedLength ?? 2,
        breakers,
      },
    }),
    ...(biases.size > 0 && {
      biasIds: Int32Array.from(biases.keys()),
      biasValues: Float32Array.from(biases.values()),
    }),
    seed: ((seed % seedRange) + seedRange) % seedRange,
    choice: 0,
    topLogprobs,
  }
}

const noTokens = new Int32Array(0)
/** Where runs end by default: lines, dialogue, emphasis. */
export const defaultBreakers = ['\n', ':', '"', '*']
