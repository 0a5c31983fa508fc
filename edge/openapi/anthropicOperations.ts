import { anthropicBodies } from './anthropicBodies.ts'
import { BODY, CANCELLED, MODEL, type Operation } from './operation.ts'

const example = {
  model: 'default',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
}

export const anthropicOperations: Operation[] = [
  {
    method: 'post',
    path: '/v1/messages',
    id: 'createMessage',
    tag: 'Messages',
    summary: "Answer a conversation, in Anthropic's form",
    body: { schema: anthropicBodies.MessageRequest, example },
    answer: anthropicBodies.Message,
    stream: 'events from `message_start` to `message_stop`',
    failures: [...BODY, ...MODEL, CANCELLED],
    errors: 'anthropic',
  },
  {
    method: 'post',
    path: '/v1/messages/count_tokens',
    id: 'countMessageTokens',
    tag: 'Messages',
    summary: 'Count the tokens of a conversation',
    body: { schema: anthropicBodies.MessageRequest, example },
    answer: anthropicBodies.TokenCount,
    failures: [...BODY, ...MODEL],
    errors: 'anthropic',
  },
]
