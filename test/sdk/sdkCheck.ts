import { z } from 'zod'

/** A server that clients are tried against. */
export interface Target {
  /** Without `/v1`. */
  origin: string
  /** Real id of the default model. */
  model: string
}

/** What an official client must be able to do with any server of ours, whatever the model: shapes and rules, never words. */
export interface SdkCheck {
  name: string
  run(target: Target): Promise<void>
}

/** Every value has an end, so that a model of random weights finishes too. */
export const forecastSchema = z.object({
  city: z.enum(['Rome', 'Oslo']),
  sunny: z.boolean(),
  tomorrow: z.object({ sunny: z.boolean() }),
})

export const weatherSchema = z.object({
  city: z.enum(['Rome', 'Oslo']),
  unit: z.enum(['celsius', 'fahrenheit']),
})

export const question = 'What is the weather in Rome?'
