import type { Accepted, EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import { EventEncoder } from '../jobs/eventEncoder.ts'
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
export class MessageStream extends EventEncoder {
  readonly keepAlive = PING
  readonly #start: MessageStreamStart
  readonly #format: MessageFormat
  readonly #blocks: ContentBlocks
  #finish: Finish | undefined

  constructor(start: MessageStreamStart, format: MessageFormat) {
    super()
    this.#start = start
    this.#format = format
    this.#blocks = new ContentBlocks(format.showThinking)
  }

  begin(): string {
    const { reply, accepted } = this.#start
    const end = messageEnd(undefined, 0, this.#format)
    const message = messageBody(reply, [], end, startUsage(accepted))
    return frame({ type: 'message_start', message }) + PING
  }

  protected override encodeEvent(event: GenerateEvent): string {
    if (event.kind === 'finish') this.#finish = event
    return this.#blocks.take(event).map(blockFrame).join('')
  }

  protected override encodeUsage(usage: Usage): string {
    const stop = messageEnd(this.#finish, usage.completionTokens, this.#format)
    const delta = { ...stop, container: null }
    const end = { type: 'message_delta', delta, usage: usageBody(usage) }
    return frame(end) + frame({ type: 'message_stop' })
  }

  protected override encodeError(error: EngineErrorData): string {
    return frame(streamErrorBody(error, this.#start.requestId))
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
