import { subscribe } from 'node:diagnostics_channel'
import { type ClientHttp2Stream, constants } from 'node:http2'

/**
 * From here on, a client's HTTP/2 stream that is closed without a code is cancelled. undici (8.12) closes the stream of a
 * request that is given up without one and destroys it at once. Node (26.10) then tells the other side when all is written,
 * which will never be: it makes empty frames without end until all memory is taken, in a loop that nothing interrupts.
 */
export function cancelClosedStreams(): void {
  subscribe('http2.client.stream.created', message => {
    const { stream } = message as { stream: ClientHttp2Stream }
    const close = stream.close.bind(stream)
    stream.close = (code = constants.NGHTTP2_CANCEL, callback) => close(code, callback)
  })
}
