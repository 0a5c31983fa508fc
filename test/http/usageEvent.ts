import type { EventBody } from '../../edge/scripted/scriptedRun.ts'

/** Ends a run that is played by its events. */
export const usageEvent: EventBody = {
  kind: 'usage',
  promptTokens: 8,
  cachedTokens: 0,
  completionTokens: 3,
  reasoningTokens: 0,
  promptMs: 1,
  completionMs: 1,
}
