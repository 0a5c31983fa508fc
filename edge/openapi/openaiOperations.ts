import { openaiBodies } from './openaiBodies.ts'
import { BODY, CANCELLED, MODEL, type Operation } from './operation.ts'

const GENERATING = [...BODY, ...MODEL, CANCELLED]

export const openaiOperations: Operation[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    id: 'createChatCompletion',
    tag: 'Chat',
    summary: 'Answer a conversation',
    body: {
      schema: openaiBodies.ChatRequest,
      example: {
        model: 'default',
        messages: [{ role: 'user', content: 'What is the capital of France?' }],
        max_tokens: 100,
      },
    },
    answer: openaiBodies.ChatCompletion,
    stream: 'chunks of type `chat.completion.chunk`, then `[DONE]`',
    failures: GENERATING,
  },
  {
    method: 'post',
    path: '/v1/completions',
    id: 'createCompletion',
    tag: 'Completions',
    summary: 'Continue a text',
    body: {
      schema: openaiBodies.CompletionRequest,
      example: { model: 'default', prompt: 'Once upon a time', max_tokens: 50 },
    },
    answer: openaiBodies.Completion,
    stream: 'chunks of type `text_completion`, then `[DONE]`',
    failures: GENERATING,
  },
  {
    method: 'post',
    path: '/v1/embeddings',
    id: 'createEmbedding',
    tag: 'Embeddings',
    summary: 'Turn texts into vectors',
    body: {
      schema: openaiBodies.EmbeddingRequest,
      example: { model: 'default', input: 'The sky is blue.' },
    },
    answer: openaiBodies.Embeddings,
    failures: [...BODY, ...MODEL, CANCELLED],
  },
]
