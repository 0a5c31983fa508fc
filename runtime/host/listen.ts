import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Connection } from '../../edge/deps.ts'
import { type Callers, createServerOfBoth, type Tls } from './httpServers.ts'
import { OpenAnswers } from './openAnswers.ts'
import { sendStream } from './sendStream.ts'
import { PATIENCE, type Patience, SlowBodies } from './slowBodies.ts'

export interface Address {
  host: string
  port: number
  callers: Callers
  /** Then the port speaks TLS only. */
  tls?: Tls
  /** With clients that are slow, or pretend to be; default `PATIENCE`. */
  patience?: Patience
}

export interface Listener {
  /** The real port, also when 0 was asked. */
  port: number
  /** Open connections. */
  readonly numConnections: number
  /** Requests whose answer has not ended, over all connections. */
  readonly numRequests: number
  /** Stops accepting, tells open connections to finish, and cuts off those that have not after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
}

/**
 * Serves a fetch handler on one port that speaks HTTP/1.1 and HTTP/2: in clear text by prior knowledge, with a
 * certificate over TLS as negotiated.
 * @throws Error saying that the port is in use, why the address cannot be bound, or what is wrong with the certificate
 */
export async function listen(
  fetch: (request: Request, connection: Connection) => Response | Promise<Response>,
  address: Address,
): Promise<Listener> {
  const { callers, tls, patience = PATIENCE } = address
  const bodies = new SlowBodies(patience)
  const answers = new OpenAnswers(patience)
  const listener = getRequestListener(
    (request, { incoming, outgoing }) => {
      answers.watch(outgoing)
      const hasBody = request.method !== 'GET' && request.method !== 'HEAD'
      return fetch(request, {
        ...(hasBody && { tooSlow: bodies.watch(incoming) }),
        sendStream: (source, headers) => sendStream(outgoing, source, headers),
      })
    },
    // HTTP/1.0 need not name a host; load balancers that ask for /health with it do not.
    { hostname: 'localhost' },
  )
  const { server, release } = createServerOfBoth(listener, { callers, tls, patience })
  const sockets = new Set<Socket>()
  // One for all, rather than closures that stay as long as what they are of.
  function forgetSocket(this: Socket) {
    sockets.delete(this)
  }
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('close', forgetSocket)
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
    get numRequests() {
      return answers.size
    },
    close(deadlineMs) {
      return new Promise(resolve => {
        const deadline = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, deadlineMs)
        server.close(() => {
          clearTimeout(deadline)
          bodies.close()
          answers.close()
          resolve()
        })
        release()
      })
    },
  }
}

function bindError(error: NodeJS.ErrnoException, { host, port }: Address): Error {
  const where = `${host}:${port}`
  if (error.code === 'EADDRINUSE') {
    return new Error(`${where} is already in use; choose another port with --port`, {
      cause: error,
    })
  }
  return new Error(`cannot listen on ${where}: ${error.message}`, { cause: error })
}
