import type { ChatPrompt } from './engine.ts'

type Effort = NonNullable<NonNullable<ChatPrompt['reasoning']>['effort']>

/** The words that requests have for how hard to think, and the effort the engine takes for each. */
export const effortWords = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'xhigh',
  max: 'xhigh',
} as const satisfies Record<string, Effort>
