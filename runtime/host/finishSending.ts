import { type ClientHttp2Stream, constants } from 'node:http2'
import { patchClientStreams } from './clientStreams.ts'

/**
 * From here on, a client's HTTP/2 stream that is given up while its request is being sent is cancelled after that. undici
 * (8.12) closes and destroys it at once. If it does so without a code, Node (26.10) makes empty frames without end, in a loop
 * that nothing interrupts, until all memory is taken. With a code it forgets the bytes that waited but goes on counting
 * them: after 10 MB no stream of the connection is answered any more (ENHANCE_YOUR_CALM).
 */
export function finishSending(): void {
  patchClientStreams(prototype => {
    const { close, destroy } = prototype
    prototype.close = function (code = constants.NGHTTP2_CANCEL, callback) {
      if (isSending(this)) this.once('finish', () => close.call(this, code, callback))
      else close.call(this, code, callback)
    }
    prototype.destroy = function (error) {
      if (!isSending(this)) return destroy.call(this, error)
      return this.once('finish', () => destroy.call(this, error))
    }
  })
}

function isSending({ writableFinished, closed, session }: ClientHttp2Stream): boolean {
  return !writableFinished && !closed && session?.destroyed === false
}
