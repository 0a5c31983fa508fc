import type { RequestEnd } from '../deps.ts'
import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import { toEngineErrorData } from '../errors.ts'
import { encodeText } from '../http/encodeText.ts'
import { endedEarly } from './collect.ts'
import type { JobRun } from './jobRun.ts'

/** A protocol's view of a run: turns events into SSE frames. Pure, but for remembering where it is. */
export interface StreamEncoder {
  /** Frames that come at once, before the run has anything to say. */
  begin?(): string
  /** What a long silence is filled with; default a comment. */
  readonly keepAlive?: string
  /** Frames of one engine step, '' when the client need not know of it. */
  encode(events: GenerateEvent[]): string
  /** Frames that tell of a failure and end the stream. */
  fail(error: EngineErrorData): string
  /** Set once the last frame has been produced. */
  readonly end: 'completed' | 'error' | undefined
  readonly usage: Usage | undefined
}

export interface SseOptions {
  keepAliveMs: number
  /** Of the answer, beside those of any stream. */
  headers: Record<string, string>
  /** Tokens have been handed to the reader. */
  onTokens?: (() => void) | undefined
  /** Waited for before the last frames are sent, unless the client has left. */
  beforeEnd?(): Promise<void>
  onError(error: unknown): void
  onEnd(end: RequestEnd): void
}

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Asks nginx and its kind not to collect the stream before passing it on.
  'x-accel-buffering': 'no',
}

const COMMENT = ':\n\n'

/**
 * Streams a run: one write per engine step, pulled by the reader, so a slow client holds up its own run only.
 * The job ends with the stream, whether it is read to the end or cancelled.
 */
export function sseResponse(run: JobRun, encoder: StreamEncoder, options: SseOptions): Response {
  let timer: ReturnType<typeof setTimeout> | undefined
  let lastWriteMs = performance.now()
  let ended = false
  /** A reader that lags has data to read, which is sign of life enough. */
  let isReaderWaiting = false

  const end = (how: RequestEnd) => {
    if (ended) return
    ended = true
    clearTimeout(timer)
    if (how === 'completed') run.release()
    else run.abort()
    // Settles a generator that is parked between two steps; a failure now concerns nobody.
    run.events.return?.().catch(() => {})
    options.onEnd(how)
  }

  /** Rather than a timer per event: one that looks back when it fires and sleeps for what is left. */
  const keepAlive = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const idleMs = performance.now() - lastWriteMs
    const due = idleMs >= options.keepAliveMs
    if (due) {
      if (isReaderWaiting) controller.enqueue(encodeText(encoder.keepAlive ?? COMMENT))
      lastWriteMs = performance.now()
    }
    timer = setTimeout(keepAlive, options.keepAliveMs - (due ? 0 : idleMs), controller)
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const first = encoder.begin?.() ?? ''
        if (first !== '') controller.enqueue(encodeText(first))
        timer = setTimeout(keepAlive, options.keepAliveMs, controller)
      },
      async pull(controller) {
        isReaderWaiting = true
        for (;;) {
          let frames: string
          try {
            const { done, value } = await run.events.next()
            if (done) throw endedEarly()
            frames = encoder.encode(value)
          } catch (error) {
            if (!run.signal.aborted) options.onError(error)
            frames = encoder.fail(toEngineErrorData(error))
          }
          if (encoder.end !== undefined && !run.signal.aborted) {
            await options.beforeEnd?.().catch(error => options.onError(error))
          }
          if (ended) return
          if (frames !== '') {
            isReaderWaiting = false
            controller.enqueue(encodeText(frames))
            lastWriteMs = performance.now()
            options.onTokens?.()
          }
          if (encoder.end !== undefined) {
            end(run.signal.aborted ? 'client_disconnected' : encoder.end)
            controller.close()
            return
          }
          if (frames !== '') return
        }
      },
      cancel() {
        end('client_disconnected')
      },
    },
    // Nothing is made ahead of the reader: what waits for a client that has stopped reading is memory.
    { highWaterMark: 0 },
  )
  // A plain object: as `Headers` they would take 2 kB for as long as the stream runs, in Node.
  return new Response(body, { headers: { ...SSE_HEADERS, ...options.headers } })
}
