import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { type Callers, createServerOfBoth, type Tls } from './httpServers.ts'

export interface Address {
  host: string
  port: number
  callers: Callers
  /** Then the port speaks TLS only. */
  tls?: Tls
}

export interface Listener {
  /** The real port, also when 0 was asked. */
  port: number
  /** Open connections. */
  readonly numConnections: number
  /** Stops accepting, tells open connections to finish, and cuts off those that have not after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>
}

/**
 * Serves a fetch handler on one port that speaks HTTP/1.1 and HTTP/2: in clear text by prior knowledge, with a
 * certificate over TLS as negotiated.
 * @throws Error saying that the port is in use, why the address cannot be bound, or what is wrong with the certificate
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  address: Address,
): Promise<Listener> {
  const { server, release } = createServerOfBoth(
    getRequestListener(fetch),
    address.callers,
    address.tls,
  )
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
