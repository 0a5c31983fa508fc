import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'

export interface Listener {
  /** The real port, also when 0 was asked. */
  port: number
  /** Stops accepting connections and resolves when the open ones are done or `deadlineMs` has passed. */
  close(deadlineMs: number): Promise<void>
}

/**
 * Serves a fetch handler over HTTP/1.1.
 * @throws Error saying that the port is in use, or why the address cannot be bound
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  address: { host: string; port: number },
): Promise<Listener> {
  // No `upgrade` listener is ever added: Node then answers `Upgrade: h2c` requests as plain HTTP/1.1, body intact.
  const server = createAdaptorServer({ fetch }) as Server
  server.requestTimeout = 0 // a long prompt may take a while to upload; headers keep Node's own limit
  server.on('connection', socket => socket.setNoDelay(true))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, address)))
    server.listen(address.port, address.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: deadlineMs => closeServer(server, deadlineMs),
  }
}

function closeServer(server: Server, deadlineMs: number): Promise<void> {
  return new Promise(resolve => {
    const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs)
    server.close(() => {
      clearTimeout(deadline)
      resolve()
    })
    server.closeIdleConnections()
  })
}

function bindError(error: NodeJS.ErrnoException, address: { host: string; port: number }): Error {
  const where = `${address.host}:${address.port}`
  if (error.code === 'EADDRINUSE') {
    return new Error(`${where} is already in use; choose another port with --port`, {
      cause: error,
    })
  }
  return new Error(`cannot listen on ${where}: ${error.message}`, { cause: error })
}
