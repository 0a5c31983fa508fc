import type { EngineErrorData, GenerateEvent, Usage } from './engine.ts'
import type { StreamEncoder } from './sse.ts'

/** What the streams of the protocols differ in. */
export interface StreamFrames {
  /** Frames of an event that is not the last; '' for those the stream does not show. */
  event(event: GenerateEvent): string
  /** The last frames of a run that completed. */
  usage(usage: Usage): string
  /** The last frames of one that failed. */
  error(error: EngineErrorData): string
}

/** Runs a stream to its one end: usage or an error, after which nothing is encoded. */
export function createStreamEncoder(
  frames: StreamFrames,
  start: Pick<StreamEncoder, 'begin' | 'keepAlive'> = {},
): StreamEncoder {
  let end: StreamEncoder['end']
  let usage: Usage | undefined
  const fail = (error: EngineErrorData) => {
    end = 'error'
    return frames.error(error)
  }
  const encodeEvent = (event: GenerateEvent): string => {
    if (event.kind === 'error') return fail(event.error)
    if (event.kind !== 'usage') return frames.event(event)
    usage = event
    end = 'completed'
    return frames.usage(event)
  }
  return {
    ...start,
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
