import type { EngineErrorData, GenerateEvent } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import { EventEncoder } from '../jobs/eventEncoder.ts'
import { streamErrorBody } from './errorBody.ts'
import type { StreamUsage } from './samplingFields.ts'

export const DONE = 'data: [DONE]\n\n'

export type ChoiceEvent = GenerateEvent & { index: number }
type ProgressEvent = Extract<GenerateEvent, { kind: 'progress' }>

/** What the streams of both kinds of completions share: chunks that begin alike, and `[DONE]` at the end in any case. */
export abstract class ChunkEncoder extends EventEncoder {
  /** Of every chunk, up to and without `"choices"`. */
  protected readonly head: string
  /** Of chunks with choices. */
  protected readonly tail: string
  readonly #cachedTokens: number

  /** @param cachedTokens of the prompts, told with their progress */
  constructor(
    object: 'chat.completion.chunk' | 'text_completion',
    reply: Reply,
    { streamUsage }: { streamUsage: StreamUsage },
    cachedTokens: number,
  ) {
    super()
    const shared = JSON.stringify({
      id: reply.id,
      object,
      created: reply.created,
      model: reply.model,
      system_fingerprint: reply.fingerprint,
      ...(object === 'chat.completion.chunk' && { service_tier: 'default' }),
    })
    // Joined: V8 would keep the parts of a sum.
    this.head = ['data: ', shared.slice(0, -1), ','].join('')
    this.tail = streamUsage === 'chunk' ? '],"usage":null}\n\n' : ']}\n\n'
    this.#cachedTokens = cachedTokens
  }

  /** Frames of one event of a choice; '' for kinds and choices the stream does not show. */
  protected abstract encodeChoice(event: ChoiceEvent): string
  /** A frame that no loop over choices minds. @param field the progress itself */
  protected abstract encodeProgress(field: string): string

  protected override encodeEvent(event: GenerateEvent): string {
    if (event.kind === 'progress') return this.encodeProgress(this.#progressField(event))
    return 'index' in event ? this.encodeChoice(event) : ''
  }

  protected override encodeError(error: EngineErrorData): string {
    return `data: ${JSON.stringify(streamErrorBody(error))}\n\n${DONE}`
  }

  protected usageChunk(usage: object): string {
    return `${this.head}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`
  }

  /** How far prefill is, and how many jobs are ahead of this one. Source of the other names: llama.cpp. */
  #progressField(event: ProgressEvent): string {
    const progress = {
      total: event.promptTokens,
      cache: this.#cachedTokens,
      processed: event.promptTokensDone,
      queue_position: event.queuePosition,
    }
    return `"prompt_progress":${JSON.stringify(progress)}`
  }
}
