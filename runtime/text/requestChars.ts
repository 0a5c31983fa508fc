import { contentText } from './chat/chatMessages.ts'
import type { TextRequest } from './textProtocol.ts'

/** What a turn costs in a template, however short, in characters of a long one. */
const charsPerMessage = 200
const charsPerId = 4

/** Characters that a request has the worker go through, roughly. */
export function requestChars(request: TextRequest): number {
  switch (request.op) {
    case 'encode':
      return request.text.length
    case 'decode':
      return request.ids.length * charsPerId
    case 'render':
    case 'encodeChat': {
      const { messages, tools = [] } = request.prompt
      return messages.reduce(
        (n, { content, reasoning = '', toolCalls = [] }) =>
          n +
          charsPerMessage +
          contentText(content).length +
          reasoning.length +
          toolCalls.reduce((calls, call) => calls + call.arguments.length, 0),
        JSON.stringify(tools).length,
      )
    }
    case 'load':
    case 'tokenIds':
    case 'describedCalls':
      return 0
    case 'breakers':
      return request.texts.reduce((n, text) => n + text.length, 0)
  }
}
