import { BODY, CANCELLED, MODEL, type Operation, pathParameter } from './operation.ts'
import { responsesBodies } from './responsesBodies.ts'

const id = pathParameter('id', 'Id of a stored response.')
const example = {
  model: 'default',
  input: 'What is the capital of France?',
  max_output_tokens: 100,
}
const EVENTS = 'events from `response.created` to `response.completed`'

export const responsesOperations: Operation[] = [
  {
    method: 'post',
    path: '/v1/responses',
    id: 'createResponse',
    tag: 'Responses',
    summary: 'Answer, and keep the answer to be continued',
    body: { schema: responsesBodies.ResponseRequest, example },
    answer: responsesBodies.Response,
    stream: EVENTS,
    failures: [...BODY, ...MODEL, CANCELLED],
  },
  {
    method: 'post',
    path: '/v1/responses/input_tokens',
    id: 'countResponseTokens',
    tag: 'Responses',
    summary: 'Count the tokens of what would be answered',
    body: { schema: responsesBodies.ResponseRequest, example },
    answer: responsesBodies.InputTokens,
    failures: [...BODY, ...MODEL],
  },
  {
    method: 'get',
    path: '/v1/responses/{id}',
    id: 'getResponse',
    tag: 'Responses',
    summary: 'A stored response, or its events again',
    parameters: [
      id,
      {
        name: 'stream',
        in: 'query',
        schema: { type: 'string', enum: ['true', 'false'] },
        description: '`true`: the events, from the first on.',
      },
      {
        name: 'starting_after',
        in: 'query',
        schema: { type: 'integer' },
        description: 'With `stream`: number of the last event that is not wanted any more.',
      },
    ],
    answer: responsesBodies.Response,
    stream: EVENTS,
    failures: [400, 404],
  },
  {
    method: 'delete',
    path: '/v1/responses/{id}',
    id: 'deleteResponse',
    tag: 'Responses',
    summary: 'Forget a response; end it, if it runs',
    parameters: [id],
    answer: responsesBodies.DeletedResponse,
    failures: [404],
  },
  {
    method: 'post',
    path: '/v1/responses/{id}/cancel',
    id: 'cancelResponse',
    tag: 'Responses',
    summary: 'End a response that runs in the background',
    parameters: [id],
    answer: responsesBodies.Response,
    failures: [400, 404],
  },
  {
    method: 'get',
    path: '/v1/responses/{id}/input_items',
    id: 'listInputItems',
    tag: 'Responses',
    summary: 'What a response was the answer to',
    parameters: [
      id,
      {
        name: 'limit',
        in: 'query',
        schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
        description: 'Most items of a page.',
      },
      {
        name: 'order',
        in: 'query',
        schema: { type: 'string', enum: ['asc', 'desc'], default: 'desc' },
        description: '`desc`: newest first.',
      },
      {
        name: 'after',
        in: 'query',
        schema: { type: 'string' },
        description: 'Id of the item before the first of the page.',
      },
    ],
    answer: responsesBodies.InputItems,
    failures: [400, 404],
  },
]
