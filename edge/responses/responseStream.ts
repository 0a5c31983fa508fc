import type { StreamEncoder } from '../jobs/sse.ts'
import type { ResponseEvent } from './responseObject.ts'
import type { ResponseRun } from './responseRun.ts'

export interface ResponseStreamOptions {
  /** Number of the last event the client has; default -1, none. */
  after?: number
  /** End with the `[DONE]` that clients of chat wait for, and OpenAI does not send. */
  done: boolean
}

/** Encodes a run as the events of a Responses stream, numbered from 0 without gaps. */
export function createResponseStream(
  run: ResponseRun,
  { after = -1, done }: ResponseStreamOptions,
): StreamEncoder {
  let next = 0
  const frames = (events: ResponseEvent[]) => {
    let text = ''
    for (const event of events) {
      const sequence_number = next++
      if (sequence_number <= after) continue
      const data = JSON.stringify({ ...event, sequence_number })
      text += `event: ${event.type}\ndata: ${data}\n\n`
    }
    return run.end !== undefined && done && text !== '' ? `${text}data: [DONE]\n\n` : text
  }
  return {
    begin: () => frames(run.begin()),
    encode: events => frames(events.flatMap(event => run.take(event))),
    fail: error => frames(run.fail(error)),
    get end() {
      return run.end
    },
    get usage() {
      return run.usage
    },
  }
}
