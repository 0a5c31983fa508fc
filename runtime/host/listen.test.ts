import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  type Settings,
} from 'node:http2'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../../test/http/httpSuite.ts'
import { selfSigned } from '../../test/http/selfSigned.ts'
import { talk } from '../../test/support/talk.ts'
import type { Callers } from './httpServers.ts'
import { type Address, type Listener, listen } from './listen.ts'

const open: Listener[] = []
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close(0)
})

async function listening(
  answer: (request: Request) => Response,
  callers: Callers,
): Promise<Listener> {
  const listener = await listen(answer, { host: '127.0.0.1', port: 0, callers })
  open.push(listener)
  return listener
}

/** Answers with the number of bytes it was sent. */
async function counting(address: Partial<Address> = {}): Promise<Listener> {
  const count = async (request: Request) =>
    new Response(`${(await request.arrayBuffer()).byteLength} bytes`)
  const listener = await listen(count, {
    host: '127.0.0.1',
    port: 0,
    callers: 'clients',
    ...address,
  })
  open.push(listener)
  return listener
}

async function http2Post(session: ClientHttp2Session, body: string): Promise<string> {
  const stream = session.request({ ':method': 'POST', ':path': '/' })
  stream.end(body)
  return text(stream)
}

describe('one port', () => {
  test('HTTP/1.1, however slowly it begins, many requests on a connection', async () => {
    const { port } = await counting()
    const request = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
    const { socket, received } = talk(port)
    for (const part of [...request.slice(0, 5), request.slice(5)]) {
      socket.write(part)
      await sleep(10)
    }
    socket.write(request)
    await eventually(() => received().split('0 bytes').length === 3)
    socket.destroy()
  })

  test.each(['clients', 'edges'] as const)(
    'HTTP/2 by prior knowledge, many streams on a connection, from %s',
    async callers => {
      const listener = await counting({ callers })
      const session = connectHttp2(`http://127.0.0.1:${listener.port}`)
      const posts = Array.from({ length: 20 }, (_, i) => http2Post(session, 'x'.repeat(i)))
      expect(await Promise.all(posts)).toEqual(posts.map((_, i) => `${i} bytes`))
      expect(listener.numConnections).toBe(1)
      session.close()
      await eventually(() => listener.numConnections === 0)
    },
  )

  const tls = selfSigned()
  test.skipIf(tls === undefined)('TLS: both, as negotiated', async () => {
    if (tls === undefined) return
    const { port } = await counting({ tls })
    const url = `https://127.0.0.1:${port}`
    const session = connectHttp2(url, { ca: tls.cert })
    expect(await http2Post(session, 'four')).toBe('4 bytes')
    session.close()
    const request = https.get(url, { ca: tls.cert, agent: false })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect([response.httpVersion, await text(response)]).toEqual(['1.1', '0 bytes'])
  })

  test('HTTP/1.0, without a host, as load balancers ask for /health', async () => {
    const { port } = await counting()
    const { closed } = talk(port, 'GET /health HTTP/1.0\r\n\r\n')
    expect(await closed).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n0 bytes$/s)
  })

  test('an offer to upgrade is answered as HTTP/1.1, the body intact', async () => {
    const { port } = await counting()
    const body = 'x'.repeat(150_000)
    const head = [
      'POST / HTTP/1.1',
      'Host: x',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      `Content-Length: ${body.length}`,
    ]
    const { socket, received } = talk(port, `${head.join('\r\n')}\r\n\r\n${body}`)
    await eventually(() => received().endsWith('150000 bytes'))
    expect(received()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    socket.destroy()
  })

  test('nonsense is a 400, and a client that says nothing leaves nothing behind', async () => {
    const listener = await counting()
    const { received } = talk(listener.port, 'nonsense\r\n\r\n')
    await eventually(() => received().startsWith('HTTP/1.1 400'))
    const { socket } = talk(listener.port, 'P')
    await eventually(() => listener.numConnections === 1)
    socket.end()
    await eventually(() => listener.numConnections === 0)
  })

  test('close does not wait for a connection that has asked for nothing', async () => {
    const listener = await counting()
    const { closed } = talk(listener.port)
    await eventually(() => listener.numConnections === 1)
    await listener.close(60_000)
    await closed
  })
})

describe('a connection many of whose answers are given up before they are sent', () => {
  // Node's default allows 10 MB of them, and the largest number it is often given 1 GB.
  const unsent = new Uint8Array(16 * 2 ** 20)

  test.each(['clients', 'edges'] as const)('goes on for %s', async callers => {
    const answer = ({ url }: Request) =>
      url.endsWith('/short')
        ? new Response('well')
        : new Response(new ReadableStream({ pull: stream => stream.enqueue(unsent) }))
    const { port } = await listening(answer, callers)
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    for (let i = 0; i < 70; i++) {
      const stream = session.request({ ':path': '/long' })
      stream.on('error', () => {})
      await once(stream, 'response')
      stream.close(constants.NGHTTP2_CANCEL)
      await once(stream, 'close')
    }
    expect(await text(session.request({ ':path': '/short' }))).toBe('well')
    session.destroy()
  })
})

test('a client has a thousand streams on a connection; more wait', async () => {
  const { port } = await counting()
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const [settings] = (await once(session, 'remoteSettings')) as [Settings]
  expect(settings.maxConcurrentStreams).toBe(1000)
  session.close()
})

/** Streams are given up a thousand at a time, twice. @returns whether the connection goes on */
async function survivesResets(callers: Callers): Promise<boolean> {
  const endless = () => new Response(new ReadableStream({ start: c => c.enqueue(Buffer.of(1)) }))
  const listener = await listening(endless, callers)
  const session = connectHttp2(`http://127.0.0.1:${listener.port}`)
  session.on('error', () => {})
  for (let round = 0; round < 2; round++) {
    const streams = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const stream = session.request({ ':method': 'POST' })
        stream.on('error', () => {})
        stream.end('x')
        await once(stream, 'response')
        return stream
      }),
    )
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
    await eventually(() => listener.numRequests === 0)
  }
  const ping = new Promise<boolean>(resolve => {
    session.once('close', () => resolve(false))
    if (session.destroyed || !session.ping(error => resolve(error === null))) resolve(false)
  })
  const survived = await ping
  session.destroy()
  return survived
}

test('all clients of an edge may leave at once; a client that does as much is cut off', async () => {
  expect(await survivesResets('edges')).toBe(true)
  expect(await survivesResets('clients')).toBe(false)
})
