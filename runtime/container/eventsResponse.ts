import type { Connection } from '../../edge/deps.ts'
import type { Accepted, GenerateEvent } from '../../edge/engine.ts'
import { encodeText } from '../../edge/http/encodeText.ts'
import { streamAnswer } from '../../edge/http/streamAnswer.ts'
import { ENGINE_KEEP_ALIVE_MS, NDJSON_TYPE } from '../../edge/remote/engineWire.ts'
import type { StreamSink, StreamSource } from '../../edge/streamSource.ts'

const KEEP_ALIVE = new TextEncoder().encode('\n')

/**
 * Begins a run and streams its events, those of a step in one write, no faster than they are read. The signal that `begin` is
 * given aborts when the response ends early.
 * @throws EngineError when the run is not accepted
 */
export async function eventsResponse(
  begin: (signal: AbortSignal) => Promise<Accepted>,
  signal: AbortSignal,
  connection: Connection,
  keepAliveMs = ENGINE_KEEP_ALIVE_MS,
): Promise<Response> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let ended = false
  const end = () => {
    ended = true
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
  const abort = () => {
    end()
    controller.abort()
  }
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort)
  const accepted = await begin(controller.signal).catch((error: unknown) => {
    end()
    throw error
  })
  const { events, ...head } = accepted
  const iterator = events[Symbol.asyncIterator]()
  let sink: StreamSink | undefined
  let isReaderWaiting = false
  let lastWriteMs = performance.now()

  /** Rather than a timer per event: one that looks back when it fires and sleeps for what is left. */
  const keepAlive = () => {
    const idleMs = performance.now() - lastWriteMs
    const due = idleMs >= keepAliveMs
    if (due) {
      // A reader that lags has data to read, which is sign of life enough.
      if (isReaderWaiting) sink?.enqueue(KEEP_ALIVE)
      lastWriteMs = performance.now()
    }
    timer = setTimeout(keepAlive, keepAliveMs - (due ? 0 : idleMs))
  }

  const source: StreamSource = {
    start(stream) {
      sink = stream
      stream.enqueue(encodeText(`${JSON.stringify(head)}\n`))
      timer = setTimeout(keepAlive, keepAliveMs)
    },
    async pull() {
      isReaderWaiting = true
      const { done, value } = await iterator.next().catch((error: unknown) => {
        // Whatever broke after the caller left is a consequence of that.
        if (ended) return { done: true as const, value: undefined }
        end()
        throw error
      })
      if (ended) return
      if (done) {
        end()
        sink?.close()
        return
      }
      isReaderWaiting = false
      sink?.enqueue(encodeText(encodeEvents(value)))
      lastWriteMs = performance.now()
    },
    cancel() {
      if (!ended) abort()
      // Settles a generator that is parked between two steps.
      iterator.return?.().catch(() => {})
    },
  }
  const headers = { 'content-type': NDJSON_TYPE, 'cache-control': 'no-store' }
  return streamAnswer(source, headers, connection)
}

function encodeEvents(events: GenerateEvent[]): string {
  let lines = ''
  for (const event of events) lines += `${JSON.stringify(event)}\n`
  return lines
}
