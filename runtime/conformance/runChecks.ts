import { anthropicChecks } from './anthropicChecks.ts'
import type { Api } from './api.ts'
import { chatChecks } from './chatChecks.ts'
import { CHAT, hello } from './chatShapes.ts'
import { type Check, toldOf } from './check.ts'
import { completionChecks } from './completionChecks.ts'
import { embeddingChecks } from './embeddingChecks.ts'
import { errorChecks } from './errorChecks.ts'
import { headerChecks } from './headerChecks.ts'
import { logprobChecks } from './logprobChecks.ts'
import { modelChecks } from './modelChecks.ts'
import { NotHere, NotMet } from './outcome.ts'
import { responsesChecks } from './responsesChecks.ts'
import { streamChecks } from './streamChecks.ts'
import { structuredChecks } from './structuredChecks.ts'
import { toolChecks } from './toolChecks.ts'

export interface CheckResult {
  group: string
  name: string
  section: string
  outcome: 'pass' | 'fail' | 'skip'
  /** One line; '' for what passes. */
  reason: string
}

const groups: { group: string; checks: Check[]; needsText?: true }[] = [
  { group: 'models', checks: modelChecks },
  { group: 'chat', checks: chatChecks, needsText: true },
  { group: 'chat streams', checks: streamChecks, needsText: true },
  { group: 'tools', checks: toolChecks, needsText: true },
  { group: 'structured output', checks: structuredChecks, needsText: true },
  { group: 'logprobs', checks: logprobChecks, needsText: true },
  { group: 'completions', checks: completionChecks, needsText: true },
  { group: 'responses', checks: responsesChecks, needsText: true },
  { group: 'anthropic messages', checks: anthropicChecks, needsText: true },
  { group: 'embeddings', checks: embeddingChecks },
  { group: 'errors', checks: errorChecks },
  { group: 'headers and CORS', checks: headerChecks },
]

/** Runs all checks, one after the other, and yields each as it ends. */
export async function* runChecks(api: Api): AsyncGenerator<CheckResult> {
  const noText = await whyNoText(api)
  for (const { group, checks, needsText } of groups) {
    for (const { name, section, run } of checks) {
      const result = { group, name, section }
      try {
        if (needsText && noText !== undefined) throw new NotHere(noText)
        await run(api)
        yield { ...result, outcome: 'pass', reason: '' }
      } catch (error) {
        const outcome = error instanceof NotHere ? 'skip' : 'fail'
        yield { ...result, outcome, reason: reasonOf(error) }
      }
    }
  }
}

/** What a server says of a model that does not generate text. */
async function whyNoText(api: Api): Promise<string | undefined> {
  const answer = await api.post(CHAT, hello).catch(() => undefined)
  if (answer?.status !== 400) return undefined
  const { message, param } = toldOf(answer)
  return param === 'model' ? message : undefined
}

function reasonOf(error: unknown): string {
  const known = error instanceof NotHere || error instanceof NotMet
  // What is not ours is of the connection; its cause says more than "fetch failed".
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = known ? error.message : `no answer: ${cause}`
  return message.replace(/\s+/g, ' ')
}
