import type { Reply } from '../http/reply.ts'
import type { Choice, Collected } from '../jobs/collect.ts'
import type { CompletionFormat } from './completionRequest.ts'
import { LegacyLogprobCounter, type LegacyLogprobs } from './legacyLogprobs.ts'
import { usageBody } from './usage.ts'

/**
 * Builds the `text_completion` object of a finished run.
 * @param echoes text of each prompt, when the request asked to repeat it
 */
export function completionResponse(
  reply: Reply,
  format: CompletionFormat,
  echoes: string[],
  { choices, usage }: Collected,
) {
  const returned = format.prompts.flatMap((_, p) =>
    bestChoices(choices.slice(p * format.candidates, (p + 1) * format.candidates), format.n).map(
      choice => ({ choice, p }),
    ),
  )
  return {
    id: reply.id,
    object: 'text_completion',
    created: reply.created,
    model: reply.model,
    system_fingerprint: reply.fingerprint,
    choices: returned.map(({ choice, p }, index) => {
      const promptLogprobs = choices[p * format.candidates]?.promptLogprobs ?? []
      return choiceBody({ ...choice, index, promptLogprobs }, format, echoes[p] ?? '')
    }),
    usage: usageBody(usage, format.strictOpenai),
  }
}

function choiceBody(choice: Choice, format: CompletionFormat, echo: string) {
  return {
    index: choice.index,
    text: echo + choice.reasoning + choice.text,
    logprobs: format.logprobs ? choiceLogprobs(choice, echo) : null,
    finish_reason: completionFinish(choice.reason),
  }
}

function choiceLogprobs(choice: Choice, echo: string): LegacyLogprobs {
  const counter = new LegacyLogprobCounter()
  const prompt = counter.prompt(choice.promptLogprobs, echo)
  return joinLogprobs(prompt, counter.generated([...choice.reasoningLogprobs, ...choice.logprobs]))
}

function joinLogprobs(a: LegacyLogprobs, b: LegacyLogprobs): LegacyLogprobs {
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  }
}

/** Raw text has no tool calls: ending in something that looks like one is an ordinary stop. */
export function completionFinish(reason: Choice['reason']): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop'
}

/** The `n` choices with the highest mean log-probability per token, best first. */
function bestChoices(candidates: Choice[], n: number): Choice[] {
  if (candidates.length <= n) return candidates
  return candidates.toSorted((a, b) => meanLogprob(b) - meanLogprob(a)).slice(0, n)
}

function meanLogprob({ logprobs }: Choice): number {
  const sum = logprobs.reduce((total, { logprob }) => total + (logprob ?? 0), 0)
  return logprobs.length === 0 ? Number.NEGATIVE_INFINITY : sum / logprobs.length
}
