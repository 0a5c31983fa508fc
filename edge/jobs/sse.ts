import type { Connection, RequestEnd } from '../deps.ts'
import type { EngineErrorData, GenerateEvent, Usage } from '../engine.ts'
import { toEngineErrorData } from '../errors.ts'
import { encodeText } from '../http/encodeText.ts'
import type { RequestScope } from '../http/requestScope.ts'
import { streamAnswer } from '../http/streamAnswer.ts'
import type { StreamSink, StreamSource } from '../streamSource.ts'
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

export interface SseTerms {
  keepAliveMs: number
  /** Of the request: is told of what goes out, and of the end. */
  scope: StreamScope
  /** Waited for before the last frames are sent, unless the client has left. */
  beforeEnd: (() => Promise<void>) | undefined
}

type StreamScope = Pick<
  RequestScope,
  'answerHeaders' | 'tokensSent' | 'completionTokens' | 'reportInternalError' | 'end'
>

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Asks nginx and its kind not to collect the stream before passing it on.
  'x-accel-buffering': 'no',
}

const COMMENT = ':\n\n'

/**
 * A client that has taken nothing for so long has stopped, and may never close its connection; an engine waits no longer
 * either. Its run holds a stream of a container's connection, of which there are some thousands.
 */
const STALLED_MS = 60_000

/**
 * Streams a run: one write per engine step, pulled by the reader, so a slow client holds up its own run only.
 * The job ends with the stream, whether it is read to the end or cancelled.
 */
export function sseResponse(
  run: JobRun,
  encoder: StreamEncoder,
  terms: SseTerms,
  connection?: Connection,
): Response {
  const headers = { ...SSE_HEADERS, ...terms.scope.answerHeaders() }
  return streamAnswer(new RunSource(run, encoder, terms), headers, connection)
}

/** The frames of a run. One object and no `async` on the way of a step: there are thousands of streams, and each waits most of the time. */
class RunSource implements StreamSource {
  readonly #run: JobRun
  readonly #encoder: StreamEncoder
  readonly #terms: SseTerms
  #sink: StreamSink | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #lastWriteMs = performance.now()
  /** A reader that lags has data to read, which is sign of life enough. */
  #isReaderWaiting = false
  /** For how long there has been something to read for a reader that does not, in whole heartbeats. */
  #laggedMs = 0
  #hasEnded = false

  constructor(run: JobRun, encoder: StreamEncoder, terms: SseTerms) {
    this.#run = run
    this.#encoder = encoder
    this.#terms = terms
  }

  start(sink: StreamSink): void {
    this.#sink = sink
    const first = this.#encoder.begin?.() ?? ''
    if (first !== '') sink.enqueue(encodeText(first))
    this.#timer = setTimeout(this.#keepAlive, this.#terms.keepAliveMs)
  }

  pull(): Promise<void> {
    this.#isReaderWaiting = true
    this.#laggedMs = 0
    return this.#run.events.next().then(this.#take, this.#fail)
  }

  cancel(): void {
    this.#end('client_disconnected')
  }

  readonly #take = (step: IteratorResult<GenerateEvent[]>) => {
    let frames: string
    try {
      frames = this.#encode(step)
    } catch (error) {
      return this.#fail(error)
    }
    return this.#tell(frames)
  }

  readonly #fail = (error: unknown) => this.#tell(this.#encodeFailure(error))

  /** @throws EngineError at an end that should not be one, and whatever the encoder stumbles over */
  #encode({ done, value }: IteratorResult<GenerateEvent[]>): string {
    if (done) throw endedEarly()
    return this.#encoder.encode(value)
  }

  #encodeFailure(error: unknown): string {
    if (!this.#run.signal.aborted) this.#terms.scope.reportInternalError(error)
    return this.#encoder.fail(toEngineErrorData(error))
  }

  /** @returns what is left to wait for before the reader has got something */
  #tell(frames: string): Promise<void> | undefined {
    if (this.#hasEnded) return
    if (this.#encoder.end !== undefined) return this.#finish(frames)
    if (frames === '') return this.#skip()
    this.#write(frames)
    return
  }

  /** Goes on to the next step of which the client need know. In a loop: else each of thousands would wait for the next. */
  async #skip(): Promise<void> {
    let frames = ''
    while (frames === '' && this.#encoder.end === undefined && !this.#hasEnded) {
      try {
        frames = this.#encode(await this.#run.events.next())
      } catch (error) {
        frames = this.#encodeFailure(error)
      }
    }
    await this.#tell(frames)
  }

  async #finish(frames: string): Promise<void> {
    const { beforeEnd, scope } = this.#terms
    if (!this.#run.signal.aborted) {
      await beforeEnd?.().catch(error => scope.reportInternalError(error))
    }
    if (this.#hasEnded) return
    if (frames !== '') this.#write(frames)
    this.#end(this.#run.signal.aborted ? 'client_disconnected' : (this.#encoder.end ?? 'error'))
    this.#sink?.close()
  }

  #write(frames: string): void {
    this.#isReaderWaiting = false
    this.#sink?.enqueue(encodeText(frames))
    this.#lastWriteMs = performance.now()
    this.#terms.scope.tokensSent()
  }

  /** Rather than a timer per event: one that looks back when it fires and sleeps for what is left. */
  readonly #keepAlive = () => {
    const { keepAliveMs } = this.#terms
    const idleMs = performance.now() - this.#lastWriteMs
    const due = idleMs >= keepAliveMs
    if (due) {
      const filler = this.#encoder.keepAlive ?? COMMENT
      if (this.#isReaderWaiting) this.#sink?.enqueue(encodeText(filler))
      else this.#laggedMs += keepAliveMs
      if (this.#laggedMs >= STALLED_MS) return this.#giveUp()
      this.#lastWriteMs = performance.now()
    }
    this.#timer = setTimeout(this.#keepAlive, keepAliveMs - (due ? 0 : idleMs))
  }

  /** At once: should the reader come back, it finds the end. */
  #giveUp(): void {
    const message = `The reader took nothing for ${STALLED_MS / 1000} s.`
    this.#sink?.enqueue(encodeText(this.#encoder.fail({ kind: 'timeout', message })))
    this.#end('error')
    this.#sink?.close()
  }

  #end(how: RequestEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    clearTimeout(this.#timer)
    if (how === 'completed') this.#run.release()
    else this.#run.abort()
    // Settles a generator that is parked between two steps; a failure now concerns nobody.
    this.#run.events.return?.().catch(() => {})
    const { scope } = this.#terms
    scope.completionTokens = this.#encoder.usage?.completionTokens
    scope.end(how, 200)
  }
}
