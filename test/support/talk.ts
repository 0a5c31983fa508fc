import { connect, type Socket } from 'node:net'

export interface Talk {
  socket: Socket
  /** What has come back so far. */
  received(): string
  /** All that came back until the connection was closed, by whichever side. */
  closed: Promise<string>
}

/** Opens a connection for a client that writes its own HTTP, and begins with `parts`. */
export function talk(port: number, ...parts: string[]): Talk {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', data => {
    received += data
  })
  socket.on('error', () => {})
  for (const part of parts) socket.write(part)
  const closed = new Promise<string>(resolve => socket.once('close', () => resolve(received)))
  return { socket, received: () => received, closed }
}
