import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { eventually } from '../../test/http/httpSuite.ts'
import { talk } from '../../test/support/talk.ts'
import { type Listener, listen } from './listen.ts'
import { PATIENCE } from './slowBodies.ts'

/** More than what the system holds for a connection. */
const LARGE = 'x'.repeat(32 * 2 ** 20)

async function serving(run: (listener: Listener) => Promise<void>): Promise<void> {
  const answer = ({ url }: Request) => new Response(url.endsWith('/large') ? LARGE : 'small')
  const patience = { ...PATIENCE, answerMs: 300 }
  const address = { host: '127.0.0.1', port: 0, callers: 'clients' as const, patience }
  const listener = await listen(answer, address)
  try {
    await run(listener)
  } finally {
    await listener.close(0)
  }
}

test('a whole answer that nobody takes ends with its connection, over HTTP/1.1', () =>
  serving(async listener => {
    const { socket } = talk(listener.port, 'GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.pause()
    await eventually(() => listener.numRequests === 1)
    await eventually(() => listener.numRequests === 0 && listener.numConnections === 0)
    socket.destroy()
  }))

test('over HTTP/2 others of its connection go on', () =>
  serving(async listener => {
    const session = connectHttp2(`http://127.0.0.1:${listener.port}`)
    const stalled = session.request({ ':path': '/large' })
    stalled.on('error', () => {})
    await once(stalled, 'response')
    await eventually(() => listener.numRequests === 0)
    expect(await text(session.request({ ':path': '/small' }))).toBe('small')
    session.destroy()
  }))

test('one that is not whole yet is waited for', async () => {
  const patience = { ...PATIENCE, answerMs: 50 }
  const address = { host: '127.0.0.1', port: 0, callers: 'clients' as const, patience }
  const answer = async () => {
    await new Promise(resolve => setTimeout(resolve, 300))
    return new Response('late')
  }
  const listener = await listen(answer, address)
  expect(await (await fetch(`http://127.0.0.1:${listener.port}`)).text()).toBe('late')
  await listener.close(0)
})
