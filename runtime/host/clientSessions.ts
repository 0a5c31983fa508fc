import http2, { type ClientHttp2Session } from 'node:http2'
import { ENGINE_KEEP_ALIVE_MS, ENGINE_LOST_MS } from '../../edge/remote/engineWire.ts'

/** In MB. Bodies that wait for room in their windows count; each is a request's, whose size the edge has limited. */
const maxSessionMemory = 1024

/** A busy container answers late, and a busy edge hears late: so not a time, which passes while nobody can listen. */
const MAX_UNANSWERED = ENGINE_LOST_MS / ENGINE_KEEP_ALIVE_MS

/**
 * From here on, a client's HTTP/2 session may hold more than Node's 10 MB, and one whose peer is gone ends. With more than that
 * waiting to be sent Node answers other streams in the peer's name (ENHANCE_YOUR_CALM): of 100 prompts of 200 kB at a
 * time every second one failed. And a connection that a router has forgotten says nothing, for a quarter of an hour on
 * Linux; undici (8.12) sends pings and does not mind that none is answered. It has options for neither.
 */
export function mendClientSessions(): void {
  const { connect } = http2
  Object.assign(http2, {
    connect(url: string | URL, options: http2.ClientSessionOptions) {
      const session = connect(url, { maxSessionMemory, ...options })
      endWhenDead(session)
      return session
    },
  })
}

function endWhenDead(session: ClientHttp2Session): void {
  let numUnanswered = 0
  const hear = (error: Error | null) => {
    if (error === null) numUnanswered = 0
  }
  const timer = setInterval(() => {
    if (session.destroyed) return
    if (numUnanswered >= MAX_UNANSWERED) {
      session.destroy(new Error('the connection is dead: no ping is answered'))
      return
    }
    numUnanswered++
    session.ping(hear)
  }, ENGINE_KEEP_ALIVE_MS).unref()
  session.once('close', () => clearInterval(timer))
}
