import { patchClientStreams } from './clientStreams.ts'

/**
 * From here on, what arrives for a client's HTTP/2 stream while nobody reads it is copied. Node cuts what it reads from a
 * connection into pieces of read buffers of 64 kB, which live as long as a piece does: 200 stalled streams held on to
 * 290 kB each, with copies to 60-165 kB.
 */
export function copyUnreadChunks(): void {
  patchClientStreams(prototype => {
    const { push } = prototype
    prototype.push = function (chunk: Uint8Array | null, encoding) {
      return push.call(
        this,
        chunk !== null && this.isPaused() ? new Uint8Array(chunk) : chunk,
        encoding,
      )
    }
  })
}
