import type { Choice, Collected } from '../collect.ts'
import type { Reply } from '../reply.ts'
import { chatLogprobs } from './chatLogprobs.ts'
import type { ChatFormat } from './chatRequest.ts'
import { usageBody } from './usage.ts'

/** Builds the `chat.completion` object of a finished run. */
export function chatResponse(reply: Reply, format: ChatFormat, { choices, usage }: Collected) {
  return {
    id: reply.id,
    object: 'chat.completion',
    created: reply.created,
    model: reply.model,
    system_fingerprint: reply.fingerprint,
    service_tier: 'default',
    choices: choices.map(choice => choiceBody(choice, format)),
    usage: usageBody(usage, format.strictOpenai),
  }
}

function choiceBody(choice: Choice, { logprobs, includeReasoning }: ChatFormat) {
  const { index, text, reasoning, reason } = choice
  return {
    index,
    message: {
      role: 'assistant',
      content: text,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(reasoning !== '' && includeReasoning && { reasoning }),
    },
    logprobs: logprobs ? chatLogprobs(choice.logprobs, choice.reasoningLogprobs) : null,
    finish_reason: reason,
  }
}
