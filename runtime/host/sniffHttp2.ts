import type { Socket } from 'node:net'

/** The first bytes of `PRI * HTTP/2.0`, with which every HTTP/2 connection begins and no HTTP/1.1 request can (RFC 9113, 3.4). */
const PREFACE = 'PRI'

/** Time for a new connection to say anything. */
const FIRST_BYTES_MS = 10_000

/** Finds out which protocol a new connection speaks, and leaves its bytes unread. */
export function sniffHttp2(socket: Socket, dispatch: (isHttp2: boolean) => void): void {
  const drop = () => socket.destroy()
  const onReadable = () => {
    const start: Buffer | null = socket.read(PREFACE.length)
    // Too little yet; after the end of a connection it is what there was.
    if (start === null) return
    socket.off('readable', onReadable).off('error', drop).off('timeout', drop).off('end', drop)
    socket.setTimeout(0)
    socket.unshift(start)
    dispatch(start.toString('latin1') === PREFACE)
  }
  socket.setTimeout(FIRST_BYTES_MS)
  socket.on('readable', onReadable).on('error', drop).on('timeout', drop).on('end', drop)
}
