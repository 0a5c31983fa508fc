import type { Accepted, EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import type { Reply } from '../reply.ts'
import type { StreamEncoder } from '../sse.ts'
import { type BlockStep, ContentBlocks } from './contentBlocks.ts'
import { streamErrorBody } from './errorBody.ts'
import {
  type Finish,
  type MessageFormat,
  messageBody,
  messageEnd,
  startUsage,
  usageBody,
} from './messageBody.ts'

const PING = frame({ type: 'ping' })

export interface MessageStreamStart {
  reply: Reply
  accepted: Pick<Accepted, 'promptTokens' | 'cachedTokens'>
  requestId: string
}

/** Encodes a run as Anthropic's events: `message_start` at once, the blocks as they come, `message_stop` or `error`. */
export function createMessageStream(
  start: MessageStreamStart,
  format: MessageFormat,
): StreamEncoder {
  const blocks = new ContentBlocks(format.showThinking)
  let finish: Finish | undefined
  let usage: Usage | undefined
  let end: StreamEncoder['end']

  const fail = (error: EngineErrorData) => {
    end = 'error'
    return frame(streamErrorBody(error, start.requestId))
  }

  const encodeUsage = (event: Usage) => {
    usage = event
    end = 'completed'
    const delta = messageEnd(finish, event.completionTokens, format)
    return (
      frame({
        type: 'message_delta',
        delta: { ...delta, container: null },
        usage: usageBody(event),
      }) + frame({ type: 'message_stop' })
    )
  }

  const encodeEvent = (event: GenerateEvent): string => {
    if (event.kind === 'error') return fail(event.error)
    if (event.kind === 'usage') return encodeUsage(event)
    if (event.kind === 'finish') finish = event
    return blocks.take(event).map(blockFrame).join('')
  }

  return {
    begin() {
      const message = messageBody(
        start.reply,
        [],
        messageEnd(undefined, 0, format),
        startUsage(start.accepted),
      )
      return frame({ type: 'message_start', message }) + PING
    },
    keepAlive: PING,
    encode(events) {
      let text = ''
      for (const event of events) {
        if (end !== undefined) break
        text += encodeEvent(event)
      }
      return text
    },
    fail,
    get end() {
      return end
    },
    get usage() {
      return usage
    },
  }
}

function blockFrame(step: BlockStep): string {
  const { index } = step
  if (step.kind === 'start') {
    return frame({ type: 'content_block_start', index, content_block: step.block })
  }
  if (step.kind === 'delta') return frame({ type: 'content_block_delta', index, delta: step.delta })
  return frame({ type: 'content_block_stop', index })
}

/** Clients drop events without a name. */
function frame(data: { type: string; [key: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
}
