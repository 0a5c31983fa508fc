import { randomInt } from 'node:crypto'
import type { GenerateJob } from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import type { SequenceOptions } from '../scheduler/sequence.ts'
import type { HeldTo } from './output/outputConstraints.ts'
import { slotOptions } from './slotOptions.ts'

/** What a model says about every sequence. */
export interface ModelChoices {
  maxModelLen: number
  generation: GenerationDefaults
  /** Tokens that end a text. */
  stopIds: ReadonlySet<number>
  /** Seed of jobs that bring none; undefined draws one each. */
  seed: number | undefined
}

/** The sequences of one prompt of a job, one for each choice. */
export function choiceOptions(
  job: GenerateJob,
  prompt: Int32Array,
  { constrain, banned, breakers }: HeldTo,
  { maxModelLen, generation, stopIds, seed }: ModelChoices,
): SequenceOptions[] {
  const top = job.logprobs?.top ?? 0
  const slot = slotOptions(job.sampling, generation, {
    seed: job.sampling.seed ?? seed ?? randomInt(2 ** 48 - 1),
    topLogprobs: top,
    history: prompt,
    banned,
    breakers,
  })
  return Array.from({ length: job.n }, (_, choice) => ({
    prompt,
    maxLength: Math.min(maxModelLen, prompt.length + (job.maxTokens ?? maxModelLen)),
    stopIds: job.ignoreEos ? noIds : stopIds,
    slot: { ...slot, choice },
    ...(job.promptLogprobs && { promptLogprobs: top }),
    ...(job.logprobs && { logprobs: top }),
    ...(constrain && { constraint: constrain() }),
    cacheSalt: job.cacheSalt ?? '',
    ...(job.owner !== undefined && { owner: job.owner }),
  }))
}

const noIds: ReadonlySet<number> = new Set()
