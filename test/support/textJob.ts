import type { GenerateJob } from '../../edge/engine.ts'

/** The least that is a job. */
export const textJob: GenerateJob = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['hi'] },
  n: 1,
  sampling: {},
  stop: [],
}
