import type { Usage } from '../engine.ts'

/** OpenAI's usage object and, unless `strictOpenai`, the speed figures that local clients show. */
export function usageBody(usage: Usage, strictOpenai: boolean) {
  const { promptTokens, completionTokens, promptMs, completionMs } = usage
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
    ...(!strictOpenai && {
      avg_tok_per_sec: perSecond(promptTokens + completionTokens, promptMs + completionMs),
      avg_prompt_tok_per_sec: perSecond(promptTokens, promptMs),
      avg_compl_tok_per_sec: perSecond(completionTokens, completionMs),
      total_time_sec: (promptMs + completionMs) / 1000,
      total_prompt_time_sec: promptMs / 1000,
      total_completion_time_sec: completionMs / 1000,
    }),
  }
}

function perSecond(tokens: number, ms: number): number {
  return ms > 0 ? (tokens * 1000) / ms : 0
}
