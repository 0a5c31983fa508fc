import type { TokenLogprob } from '../engine.ts'

/** Stands for minus infinity, and for the first token of a text, which nothing predicts. */
const NO_LOGPROB = -9999

/** The `logprobs` of a chat choice or chunk. Reasoning is not content and has a list of its own, where there is any. */
export function chatLogprobs(content: TokenLogprob[], reasoning: TokenLogprob[]) {
  return {
    content: content.map(tokenBody),
    refusal: null,
    ...(reasoning.length > 0 && { reasoning_content: reasoning.map(tokenBody) }),
  }
}

function tokenBody({ token, logprob, bytes, top }: TokenLogprob) {
  return {
    token,
    logprob: logprob ?? NO_LOGPROB,
    bytes,
    top_logprobs: top.map(({ token, logprob, bytes }) => ({ token, logprob, bytes })),
  }
}
