import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import type { StreamEncoder } from './sse.ts'

/**
 * Takes a stream to its one end, usage or an error, after which nothing is encoded. A class, as its methods are shared: with
 * closures the encoder of a chat took 2 kB for each stream.
 */
export abstract class EventEncoder implements StreamEncoder {
  end: StreamEncoder['end']
  usage: Usage | undefined

  /** Frames of an event that is not the last; '' for those the stream does not show. */
  protected abstract encodeEvent(event: GenerateEvent): string
  /** The last frames of a run that completed. */
  protected abstract encodeUsage(usage: Usage): string
  /** The last frames of one that failed. */
  protected abstract encodeError(error: EngineErrorData): string

  encode(events: GenerateEvent[]): string {
    let text = ''
    for (const event of events) {
      if (this.end !== undefined) break
      text += this.#encode(event)
    }
    return text
  }

  fail(error: EngineErrorData): string {
    this.end = 'error'
    return this.encodeError(error)
  }

  #encode(event: GenerateEvent): string {
    if (event.kind === 'error') return this.fail(event.error)
    if (event.kind !== 'usage') return this.encodeEvent(event)
    this.usage = event
    this.end = 'completed'
    return this.encodeUsage(event)
  }
}
