import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
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
  // Plain fields: an object with accessors is a hash table in V8, 450 bytes for each stream.
  const encoder = {
    ...start,
    end: undefined as StreamEncoder['end'],
    usage: undefined as Usage | undefined,
    encode(events: GenerateEvent[]): string {
      let text = ''
      for (const event of events) {
        if (encoder.end !== undefined) break
        text += encodeEvent(event)
      }
      return text
    },
    fail(error: EngineErrorData): string {
      encoder.end = 'error'
      return frames.error(error)
    },
  }
  const encodeEvent = (event: GenerateEvent): string => {
    if (event.kind === 'error') return encoder.fail(event.error)
    if (event.kind !== 'usage') return frames.event(event)
    encoder.usage = event
    encoder.end = 'completed'
    return frames.usage(event)
  }
  return encoder
}
