import type { Accepted } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { StreamEncoder } from '../jobs/sse.ts'
import { createStreamEncoder } from '../jobs/streamEncoder.ts'
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

  return createStreamEncoder(
    {
      event(event) {
        if (event.kind === 'finish') finish = event
        return blocks.take(event).map(blockFrame).join('')
      },
      usage(usage) {
        const delta = { ...messageEnd(finish, usage.completionTokens, format), container: null }
        const end = { type: 'message_delta', delta, usage: usageBody(usage) }
        return frame(end) + frame({ type: 'message_stop' })
      },
      error: error => frame(streamErrorBody(error, start.requestId)),
    },
    {
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
    },
  )
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
