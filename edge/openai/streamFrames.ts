import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import type { Reply } from '../reply.ts'
import type { StreamEncoder } from '../sse.ts'
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

/** What the streams of the protocols differ in. */
export interface StreamFrames {
  /** Frames of one event of a choice; '' for kinds and choices the stream does not show. */
  choice(event: GenerateEvent & { index: number }): string
  /** A frame that no loop over choices minds. */
  progress(event: ProgressEvent): string
  /** The last frames. */
  usage(usage: Usage): string
}

/** Runs a stream to its one end: usage or an error, after which nothing is encoded. */
export function createStreamEncoder(frames: StreamFrames): StreamEncoder {
  let end: StreamEncoder['end']
  let usage: Usage | undefined
  const fail = (error: EngineErrorData) => {
    end = 'error'
    return errorFrames(error)
  }
  const encodeEvent = (event: GenerateEvent): string => {
    if (event.kind === 'error') return fail(event.error)
    if (event.kind === 'progress') return frames.progress(event)
    if (event.kind !== 'usage') return 'index' in event ? frames.choice(event) : ''
    usage = event
    end = 'completed'
    return frames.usage(event)
  }
  return {
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
