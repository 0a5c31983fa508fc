import { subscribe } from 'node:diagnostics_channel'
import { type ClientHttp2Stream, constants } from 'node:http2'

/**
 * From here on, a client's HTTP/2 stream that is given up while its request is being sent is cancelled after that. undici
 * (8.12) closes and destroys it at once. If it does so without a code, Node (26.10) makes empty frames without end, in a loop
 * that nothing interrupts, until all memory is taken. With a code it forgets the bytes that waited but goes on counting
 * them: after 10 MB no stream of the connection is answered any more (ENHANCE_YOUR_CALM).
 */
export function finishSending(): void {
  subscribe('http2.client.stream.created', message => {
    const { stream } = message as { stream: ClientHttp2Stream }
    const close = stream.close.bind(stream)
    const destroy = stream.destroy.bind(stream)
    const isSending = () =>
      !stream.writableFinished && !stream.closed && stream.session?.destroyed === false
    stream.close = (code = constants.NGHTTP2_CANCEL, callback) => {
      if (isSending()) stream.once('finish', () => close(code, callback))
      else close(code, callback)
    }
    stream.destroy = error => {
      if (!isSending()) return destroy(error)
      return stream.once('finish', () => destroy(error))
    }
  })
}
