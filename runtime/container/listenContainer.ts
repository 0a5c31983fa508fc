import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { sniffHttp2 } from './sniffHttp2.ts'

export interface ContainerAddress {
  host: string
  port: number
  /** PEM; then the port speaks TLS only. */
  tls?: { cert: string | Buffer; key: string | Buffer }
}

export interface ContainerListener {
  /** The real port, also when 0 was asked. */
  port: number
  /** Open connections. */
  readonly numConnections: number
  /** Stops accepting, tells the others to finish, and cuts them off after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
}

type Fetch = (request: Request) => Promise<Response>
type Session = { close(): void }

const sessionOptions = {
  // Streams whose reader has stopped hold on to what they could not send: a thousand of them must not close the session.
  maxSessionMemory: 1024,
  // An edge resets a stream for each client that leaves; the default of 33 a second is made for strangers.
  streamResetBurst: 10_000,
  streamResetRate: 1000,
}

/**
 * Serves a fetch handler on one port that speaks HTTP/1.1 and HTTP/2: in clear text by prior knowledge, with a
 * certificate over TLS as negotiated.
 * @throws Error saying that the port is in use, why the address cannot be bound, or what is wrong with the certificate
 */
export async function listenContainer(
  fetch: Fetch,
  address: ContainerAddress,
): Promise<ContainerListener> {
  const sessions = new Set<Session>()
  const server = address.tls
    ? secureServer(fetch, address.tls, sessions)
    : clearServer(fetch, sessions)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(bindError(error, address)))
    server.listen(address.port, address.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    get numConnections() {
      return sockets.size
    },
    close(deadlineMs) {
      return new Promise(resolve => {
        const deadline = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, deadlineMs)
        server.close(() => {
          clearTimeout(deadline)
          resolve()
        })
        for (const session of sessions) session.close()
      })
    },
  }
}

/** Node has no server for both in clear text: an HTTP/1.1 server hands the connections that are not its own to another. */
function clearServer(fetch: Fetch, sessions: Set<Session>): Server {
  const listener = requestListener(fetch)
  // No `upgrade` listener is ever added: Node then answers `Upgrade: h2c` as plain HTTP/1.1, the body intact.
  const http1 = createHttpServer(listener)
  const http2 = createHttp2Server(sessionOptions, listener)
  trackSessions(http2, sessions)
  const [serveHttp1] = http1.listeners('connection')
  http1.removeAllListeners('connection')
  http1.on('connection', (socket: Socket) =>
    sniffHttp2(socket, isHttp2 => {
      if (isHttp2) {
        // What an HTTP/1.1 server sets for its own sake; here it would keep connections whose client has left.
        socket.allowHalfOpen = false
        http2.emit('connection', socket)
      } else serveHttp1?.call(http1, socket)
    }),
  )
  return http1
}

function secureServer(
  fetch: Fetch,
  tls: { cert: string | Buffer; key: string | Buffer },
  sessions: Set<Session>,
): Server {
  const options = { ...sessionOptions, ...tls, allowHTTP1: true }
  const server = createSecureServer(options, requestListener(fetch))
  trackSessions(server, sessions)
  return server
}

function requestListener(fetch: Fetch) {
  return getRequestListener(fetch, { overrideGlobalObjects: false })
}

function trackSessions(
  server: ReturnType<typeof createHttp2Server | typeof createSecureServer>,
  sessions: Set<Session>,
): void {
  server.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
}

function bindError(error: NodeJS.ErrnoException, { host, port }: ContainerAddress): Error {
  const where = `${host}:${port}`
  if (error.code === 'EADDRINUSE') {
    return new Error(`${where} is already in use; choose another port with --port`, {
      cause: error,
    })
  }
  return new Error(`cannot listen on ${where}: ${error.message}`, { cause: error })
}
