import type { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { StreamSink, StreamSource } from '../../edge/streamSource.ts'

/** Answers 200 with a stream, pulled as fast as the client reads it. */
export function sendStream(
  outgoing: ServerResponse | Http2ServerResponse,
  source: StreamSource,
  headers: Record<string, string>,
): Response {
  // What is used here both have alike, but for `destroyed`: Node's type has that for HTTP/2, Node does not.
  const isClosed =
    outgoing instanceof Http2ServerResponse ? outgoing.stream.destroyed : outgoing.destroyed
  const response = outgoing as ServerResponse
  response.writeHead(200, headers)
  response.flushHeaders()
  if (isClosed) source.cancel()
  else new StreamWriter(response, source).begin()
  return RESPONSE_ALREADY_SENT
}

class StreamWriter implements StreamSink {
  readonly #outgoing: ServerResponse
  readonly #source: StreamSource
  #hasEnded = false

  constructor(outgoing: ServerResponse, source: StreamSource) {
    this.#outgoing = outgoing
    this.#source = source
  }

  begin(): void {
    this.#outgoing.on('close', this.#onClose).on('error', this.#onClose)
    this.#source.start(this)
    this.#pull()
  }

  enqueue(bytes: Uint8Array): void {
    this.#outgoing.write(bytes)
  }

  close(): void {
    this.#hasEnded = true
    this.#outgoing.end()
  }

  readonly #pull = () => {
    if (!this.#hasEnded) this.#source.pull().then(this.#onPulled, this.#onFailure)
  }

  readonly #onPulled = () => {
    if (this.#outgoing.writableNeedDrain) this.#outgoing.once('drain', this.#pull)
    else this.#pull()
  }

  readonly #onClose = () => {
    this.#hasEnded = true
    this.#source.cancel()
  }

  readonly #onFailure = (error: Error) => this.#outgoing.destroy(error)
}
