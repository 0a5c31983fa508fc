import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { type Listener, listen } from './listen.ts'

const open: Listener[] = []
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close(0)
})

/** Reads each body before it answers, unless the path says not to. */
async function patient() {
  const listener = await listen(
    (request, { tooSlow }) => {
      const answer = async () => {
        if (request.url.endsWith('/unread')) await sleep(1500)
        else await request.text()
        return new Response('read')
      }
      const giveUp = tooSlow?.then(message => new Response(message, { status: 408 }))
      return Promise.race([answer(), ...(giveUp ? [giveUp] : [])])
    },
    {
      host: '127.0.0.1',
      port: 0,
      callers: 'clients',
      patience: {
        headersMs: 400,
        graceMs: 400,
        minBytesPerSecond: 100,
        answerMs: 400,
        idleMs: 300,
      },
    },
  )
  open.push(listener)
  return listener
}

/** Sends `start` at once and then `byte` every `everyMs`, until the other side hangs up. */
async function trickle(port: number, start: string, byte: string, everyMs: number) {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('error', () => {})
  socket.on('data', data => {
    received += data
  })
  socket.write(start)
  while (!socket.destroyed && socket.writable) {
    socket.write(byte)
    await sleep(everyMs)
  }
  return received
}

test('a byte of a body now and then, over HTTP/2: 408, and the other streams go on', async () => {
  const { port } = await patient()
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const request = (path: string) => {
    const stream = session.request({ ':method': 'POST', ':path': path })
    const ended = new Promise<number>(resolve => {
      let status = 0
      stream.on('response', headers => {
        status = Number(headers[':status'])
      })
      stream.on('error', () => {}).on('close', () => resolve(status))
    })
    stream.resume()
    return { stream, ended }
  }
  const slow = request('/')
  const other = request('/unread')
  other.stream.end('short')
  const timer = setInterval(() => slow.stream.writable && slow.stream.write('x'), 50)
  expect(await slow.ended).toBe(408)
  clearInterval(timer)
  expect(await other.ended).toBe(200)
  session.destroy()
})

test('an upload over a slow line takes the time it takes', async () => {
  const { port } = await patient()
  const start = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1200\r\n\r\n'
  // For four times as long as a body without any bytes would get.
  const received = await trickle(port, start, 'x'.repeat(40), 50)
  expect(received).toMatch(/^HTTP\/1\.1 200 OK/)
})

test('a body that nobody asks for is waited for by nobody', async () => {
  const { port } = await patient()
  const init = { method: 'POST', body: 'x'.repeat(1000) }
  expect((await fetch(`http://127.0.0.1:${port}/unread`, init)).status).toBe(200)
})

test('an HTTP/2 connection without a use is closed, one with a request is not', async () => {
  const { port } = await patient()
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const gone = once(session, 'close')
  const stream = session.request({ ':method': 'POST', ':path': '/unread' })
  stream.end('x')
  expect(await text(stream)).toBe('read')
  await gone
})
