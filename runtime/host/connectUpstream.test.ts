import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { connectUpstream } from './connectUpstream.ts'

const run = promisify(execFile)
const module = new URL('connectUpstream.ts', import.meta.url)

/** Gives up requests while their bodies are being sent; the connection must be good for others then. */
const script = (bodyBytes: number, times: number, wait: string) => `
  import { createServer } from 'node:http2'
  import { connectUpstream } from ${JSON.stringify(module.href)}

  const codes = new Set()
  const server = createServer()
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {}).on('close', () => codes.add(stream.rstCode)).resume()
    if (headers[':method'] !== 'GET') return
    stream.respond()
    stream.end()
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = 'http://127.0.0.1:' + server.address().port
  const { fetch } = connectUpstream(url)
  const ask = ({ signal }, body) =>
    fetch(url, { method: body ? 'POST' : 'GET', headers: {}, body, signal }).then(a => a.text())
  for (let i = 0; i < ${times}; i++) {
    await ask(new AbortController())
    const controller = new AbortController()
    const answer = ask(controller, 'x'.repeat(${bodyBytes})).catch(() => {})
    ${wait}
    controller.abort()
    await answer
  }
  await ask(new AbortController())
  console.log(...[...codes].sort())
  process.exit()
`

test.each<[string, number, number, string, string]>([
  // Then it was never sent.
  ['at once', 100, 5, '', '0'],
  ['a moment later', 100, 5, 'for (let n = 0; n < 5; n++) await undefined', '0 8'],
  ['when its window is full, often', 200_000, 100, 'await new Promise(setImmediate)', '0 8'],
])(
  'a request that is given up %s leaves its connection well',
  async (_, bytes, times, wait, codes) => {
    // In a process of its own: what this is about stops the event loop and takes a gigabyte a second.
    const args = ['--input-type=module', '-e', script(bytes, times, wait)]
    const { stdout } = await run(process.execPath, args, { timeout: 6000, killSignal: 'SIGKILL' })
    expect(stdout).toBe(`${codes}\n`)
  },
  10_000,
)

test('many long requests at a time are answered', async () => {
  const server = createServer({ maxSessionMemory: 100 })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.resume().on('end', () => {
      stream.respond()
      stream.end('well')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { fetch, close } = connectUpstream(url)
  const { signal } = new AbortController()
  const request = { method: 'POST' as const, headers: {}, body: 'x'.repeat(200_000), signal }
  const answers = Array.from({ length: 100 }, async () => (await fetch(url, request)).text())
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['well']))
  await close()
  server.close()
})

test('streams that stay open leave room for others on further connections', async () => {
  // As 16 connections of 1000 streams.
  const server = createServer({ settings: { maxConcurrentStreams: 4 } })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    stream.respond()
    if (headers[':path'] === '/short') stream.end('well')
    else stream.write('and on')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { fetch, close } = connectUpstream(url)
  const { signal } = new AbortController()
  const request = { method: 'GET' as const, headers: {}, signal }
  for (let i = 0; i < 63; i++) await fetch(`${url}/endless`, request)
  expect(await (await fetch(`${url}/short`, request)).text()).toBe('well')
  await close()
  server.close()
})

/** Passes connections on to `port`, until `lose` makes those that are open go dead: nothing arrives, nothing is closed. */
async function losingRelay(port: number) {
  const sockets: Socket[] = []
  const relay = createTcpServer(near => {
    const far = connectTcp(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
    sockets.push(near, far)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    lose() {
      for (const socket of sockets) socket.unpipe().resume()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      relay.close()
    },
  }
}

test('a connection that has gone dead is given up, and then there is a new one', async () => {
  const server = createServer((_, response) => response.end('well'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay = await losingRelay((server.address() as AddressInfo).port)
  const { fetch, close } = connectUpstream(relay.url)
  const ask = async () => {
    const request = { method: 'GET' as const, headers: {}, signal: AbortSignal.timeout(2000) }
    return (await fetch(relay.url, request)).text()
  }
  expect(await ask()).toBe('well')
  relay.lose()
  await expect(ask()).rejects.toThrow()
  await expect.poll(ask, { timeout: 60_000, interval: 1000 }).toBe('well')
  await close()
  relay.close()
  server.close()
}, 70_000)
