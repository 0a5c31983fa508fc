import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerOptions,
} from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Patience } from './slowBodies.ts'
import { sniffHttp2 } from './sniffHttp2.ts'

/** PEM. */
export interface Tls {
  cert: string | Buffer
  key: string | Buffer
}

export type HttpListener = (
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
) => void

/** Who connects: anybody, or edges, each of which carries the streams of many clients over few connections. */
export type Callers = 'clients' | 'edges'

export interface HttpServer {
  /** Owns the port. */
  server: Server
  /** Lets HTTP/2 connections finish their streams, and drops the connections that have asked for nothing yet. */
  release(): void
}

/**
 * In MB, the most that Node can be told. With more it refuses the streams of a session, its own default being 10 MB; and it
 * goes on counting what a stream had not sent when it was reset (26.10): after 500 answers of 64 kB whose readers had
 * stopped and left, all requests of a connection failed (ENHANCE_YOUR_CALM) until it was closed, an edge's after 20,000.
 * What a session really holds is bounded by what waits in each stream.
 */
const UNLIMITED_MB = 2 ** 32 - 1

const sessionOptions: Record<Callers, ServerOptions> = {
  clients: {
    maxSessionMemory: UNLIMITED_MB,
    // Without it any number of streams might wait for their readers.
    settings: { maxConcurrentStreams: 1000 },
  },
  edges: {
    maxSessionMemory: UNLIMITED_MB,
    // An edge resets a stream for each client that leaves; the default, made for strangers, is 33 a second.
    streamResetBurst: 10_000,
    streamResetRate: 1000,
  },
}

export interface HttpServerOptions {
  callers: Callers
  tls: Tls | undefined
  patience: Pick<Patience, 'headersMs' | 'idleMs'>
}

/** Speaks HTTP/1.1 and HTTP/2 on one port: in clear text by prior knowledge, with a certificate as negotiated. */
export function createServerOfBoth(
  listener: HttpListener,
  { callers, tls, patience }: HttpServerOptions,
): HttpServer {
  const http2Options = sessionOptions[callers]
  // Node's own limit on whole requests is off: it is one for all sizes, and `SlowBodies` knows better. What Node answers to
  // headers that are too slow has no CORS headers, and needs none: browsers send headers at once.
  const http1Options = {
    // Of what a connection may have waiting for its client before a stream pauses: Node's own is 64 kB.
    highWaterMark: 16 * 1024,
    headersTimeout: patience.headersMs,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1000, patience.headersMs / 4),
  }
  if (tls === undefined) {
    const http2 = createHttp2Server(http2Options, listener)
    return clearServer(createHttpServer(http1Options, listener), http2, patience.idleMs)
  }
  const options = {
    ...http2Options,
    ...tls,
    allowHTTP1: true,
    handshakeTimeout: patience.headersMs,
  }
  // For HTTP/1.1 over TLS these are properties of the server, of which the types do not know.
  const server = Object.assign(createSecureServer(options, listener), http1Options)
  return { server, release: trackSessions(server, patience.idleMs) }
}

/** Node has no server for both in clear text: an HTTP/1.1 server hands the connections that are not its own to another. */
function clearServer(http1: Server, http2: Http2Server, idleMs: number): HttpServer {
  const undecided = new Set<Socket>()
  const closeSessions = trackSessions(http2, idleMs)
  // No `upgrade` listener is ever added: Node then answers `Upgrade: h2c` as plain HTTP/1.1, the body intact.
  const [serveHttp1] = http1.listeners('connection')
  http1.removeAllListeners('connection')
  http1.on('connection', (socket: Socket) => {
    const decided = () => undecided.delete(socket)
    undecided.add(socket)
    socket.once('close', decided)
    sniffHttp2(socket, isHttp2 => {
      decided()
      socket.off('close', decided)
      if (isHttp2) {
        // What an HTTP/1.1 server sets for its own sake; here it would keep connections whose client has left.
        socket.allowHalfOpen = false
        http2.emit('connection', socket)
      } else serveHttp1?.call(http1, socket)
    })
  })
  return {
    server: http1,
    release() {
      closeSessions()
      for (const socket of undecided) socket.destroy()
    },
  }
}

/** @returns closes the sessions that are open then */
function trackSessions(server: Http2Server | Http2SecureServer, idleMs: number): () => void {
  const sessions = new Set<{ close(): void }>()
  server.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.setTimeout(idleMs, () => session.close())
  })
  return () => {
    for (const session of sessions) session.close()
  }
}
