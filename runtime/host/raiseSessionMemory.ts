import http2 from 'node:http2'

/** In MB. Bodies that wait for room in their windows count; each is a request's, whose size the edge has limited. */
const maxSessionMemory = 1024

/**
 * From here on, a client's HTTP/2 session may hold more than Node's 10 MB. With more than that waiting to be sent Node answers
 * other streams in the peer's name (ENHANCE_YOUR_CALM): of 100 prompts of 200 kB at a time every second one failed.
 * undici (8.12) has no option for it.
 */
export function raiseSessionMemory(): void {
  const { connect } = http2
  Object.assign(http2, {
    connect: (url: string | URL, options: http2.ClientSessionOptions) =>
      connect(url, { maxSessionMemory, ...options }),
  })
}
