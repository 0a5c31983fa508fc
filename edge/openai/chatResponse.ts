import type { Reply } from '../http/reply.ts'
import type { Choice, Collected } from '../jobs/collect.ts'
import { chatLogprobs } from './chatLogprobs.ts'
import type { ChatFormat } from './chatRequest.ts'
import { callFields, chatFinish } from './toolCallBodies.ts'
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

function choiceBody(choice: Choice, { logprobs, includeReasoning, calls }: ChatFormat) {
  const { index, text, reasoning, toolCalls, reason } = choice
  return {
    index,
    message: {
      role: 'assistant',
      content: text === '' && toolCalls.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(reasoning !== '' && includeReasoning && { reasoning }),
      ...callFields(toolCalls, calls),
    },
    logprobs: logprobs ? chatLogprobs(choice.logprobs, choice.reasoningLogprobs) : null,
    finish_reason: chatFinish(reason, calls),
  }
}
