import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import type { StreamEncoder } from '../jobs/sse.ts'
import { createStreamEncoder } from '../jobs/streamEncoder.ts'
import { streamErrorBody } from './errorBody.ts'

export const DONE = 'data: [DONE]\n\n'

/** The beginning that all chunks of one stream share, up to and without `"choices"`. */
export function streamHead(
  object: 'chat.completion.chunk' | 'text_completion',
  reply: Reply,
): string {
  const shared = JSON.stringify({
    id: reply.id,
    object,
    created: reply.created,
    model: reply.model,
    system_fingerprint: reply.fingerprint,
    ...(object === 'chat.completion.chunk' && { service_tier: 'default' }),
  })
  return `data: ${shared.slice(0, -1)},`
}

export function usageChunk(head: string, usage: object): string {
  return `${head}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`
}

type ProgressEvent = Extract<GenerateEvent, { kind: 'progress' }>

/** How far prefill is, and how many jobs are ahead of this one. Source of the other names: llama.cpp. */
export function progressField(event: ProgressEvent, cachedTokens: number): string {
  const progress = {
    total: event.promptTokens,
    cache: cachedTokens,
    processed: event.promptTokensDone,
    queue_position: event.queuePosition,
  }
  return `"prompt_progress":${JSON.stringify(progress)}`
}

function errorFrames(error: EngineErrorData): string {
  return `data: ${JSON.stringify(streamErrorBody(error))}\n\n${DONE}`
}

/** What the two kinds of streams differ in. */
export interface ChunkFrames {
  /** Frames of one event of a choice; '' for kinds and choices the stream does not show. */
  choice(event: GenerateEvent & { index: number }): string
  /** A frame that no loop over choices minds. */
  progress(event: ProgressEvent): string
  /** The last frames. */
  usage(usage: Usage): string
}

/** A stream of chunks, which ends with `[DONE]` in any case. */
export function createChunkStream({ choice, progress, usage }: ChunkFrames): StreamEncoder {
  return createStreamEncoder({
    event(event) {
      if (event.kind === 'progress') return progress(event)
      return 'index' in event ? choice(event) : ''
    },
    usage,
    error: errorFrames,
  })
}
