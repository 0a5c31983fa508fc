import type { EngineErrorData, GenerateEvent } from '../engine.ts'
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
export class ResponseStream implements StreamEncoder {
  readonly #run: ResponseRun
  readonly #after: number
  readonly #done: boolean
  #next = 0

  constructor(run: ResponseRun, { after = -1, done }: ResponseStreamOptions) {
    this.#run = run
    this.#after = after
    this.#done = done
  }

  get end() {
    return this.#run.end
  }

  get usage() {
    return this.#run.usage
  }

  begin(): string {
    return this.#frames(this.#run.begin())
  }

  encode(events: GenerateEvent[]): string {
    return this.#frames(events.flatMap(event => this.#run.take(event)))
  }

  fail(error: EngineErrorData): string {
    return this.#frames(this.#run.fail(error))
  }

  #frames(events: ResponseEvent[]): string {
    let text = ''
    for (const event of events) {
      const sequence_number = this.#next++
      if (sequence_number <= this.#after) continue
      const data = JSON.stringify({ ...event, sequence_number })
      text += `event: ${event.type}\ndata: ${data}\n\n`
    }
    return this.end !== undefined && this.#done && text !== '' ? `${text}data: [DONE]\n\n` : text
  }
}
