import type { ServerHttp2Stream } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { keyDigest } from '../../edge/access/keyEntries.ts'
import {
  acceptedLine,
  badContainer,
  edge,
  textEvent as event,
  listening,
  ndjson,
  scriptedContainer,
} from './faultDeployment.ts'
import { eventually, post } from './httpSuite.ts'
import { chatStream, expectUpstreamError, lostStreams, opened, rest } from './lostStreams.ts'

const { path: CHAT, expectError: expectErrorEvent } = chatStream

const numSockets = () =>
  process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length

describe('a container in a process of its own', () => {
  test('killed mid-stream: an error event within a second, then 502, no socket left', async () => {
    const { child, port } = await scriptedContainer()
    const { fetch } = await edge(port)
    const idle = numSockets()
    expect((await fetch('/v1/models')).status).toBe(200)
    const streams = [...lostStreams, ...lostStreams]
    const readers = await Promise.all(
      streams.map(async ({ path, init }) => opened(await fetch(path, init))),
    )
    child.kill('SIGKILL')
    for (const [i, { text, ms }] of (await Promise.all(readers.map(rest))).entries()) {
      streams[i]?.expectError(text)
      expect(ms).toBeLessThan(1000)
    }
    await expectUpstreamError(await fetch(CHAT, chatStream.init))
    expect((await fetch('/ready')).status).toBe(503)
    await eventually(() => numSockets() === idle)
  })

  test('killed: what it made in the background holds no place of a key', async () => {
    const { child, port } = await scriptedContainer()
    const entry = { name: 'ada', sha256: await keyDigest('key'), maxConcurrent: 1 }
    const { fetch } = await edge(port, {}, { auth: { entries: [entry] } })
    const ask = async (path: string, body: object) => {
      const response = await fetch(path, post(body, { headers: { 'x-api-key': 'key' } }))
      await response.text()
      return response.status
    }
    expect(await ask('/v1/responses', { input: 'endless', background: true })).toBe(200)
    const next = () => ask(CHAT, { messages: 'hi' })
    expect(await next()).toBe(429)
    child.kill('SIGKILL')
    await expect.poll(next).toBe(502)
  })

  test('frozen mid-stream: an error event once the silence is too long', async () => {
    const { child, port } = await scriptedContainer()
    const { fetch } = await edge(port, { lostAfterMs: 200 })
    const reader = await opened(await fetch(CHAT, chatStream.init))
    child.kill('SIGSTOP')
    const { text, ms } = await rest(reader)
    expectErrorEvent(text)
    expect(ms).toBeLessThan(1000)
  })

  test('a wrong secret, or none', async () => {
    const { port } = await scriptedContainer('sesame')
    const right = await edge(port, { secret: 'sesame' })
    expect((await right.fetch(CHAT, post({ messages: 'hi' }))).status).toBe(200)
    for (const options of [{ secret: 'wrong' }, {}]) {
      const { fetch } = await edge(port, options)
      await expectUpstreamError(await fetch(CHAT, post({ messages: 'hi', stream: true })))
      expect((await fetch('/ready')).status).toBe(503)
    }
  })

  test('a job that is too large for it is refused, and the connection goes on', async () => {
    const { fetch } = await edge((await scriptedContainer()).port)
    const tools = [{ type: 'function', function: { name: 'f', description: 'x'.repeat(60_000) } }]
    const refused = await fetch(CHAT, post({ messages: 'hi', tools }))
    expect(refused.status).toBe(413)
    expect(await refused.json()).toMatchObject({ message: expect.stringMatching(/50000 bytes/) })
    expect((await fetch(CHAT, post({ messages: 'hi' }))).status).toBe(200)
  })
})

describe('a container that breaks the rules', () => {
  const begin = (stream: ServerHttp2Stream, ...values: unknown[]) => {
    stream.respond({ ':status': 200 })
    stream.write(acceptedLine + ndjson(...values))
  }

  test.each<[string, (stream: ServerHttp2Stream, socket: Socket) => void]>([
    [
      'an early end',
      stream => {
        begin(stream, event)
        stream.end()
      },
    ],
    [
      'an end inside a line',
      stream => {
        begin(stream, event)
        stream.end('{"v":1')
      },
    ],
    [
      'a reset',
      stream => {
        begin(stream, event)
        setTimeout(() => stream.close(2), 20)
      },
    ],
    [
      'a half-closed connection',
      (stream, socket) => {
        begin(stream, event)
        setTimeout(() => socket.end(), 20)
      },
    ],
    [
      'a destroyed connection',
      (stream, socket) => {
        begin(stream, event)
        setTimeout(() => socket.destroy(), 20)
      },
    ],
    [
      'a line that is no event',
      stream => {
        begin(stream, event)
        stream.write('nonsense\n')
      },
    ],
    ['an event out of order', stream => begin(stream, event, { ...event, seq: 7 })],
  ])('mid-stream: %s', async (_, generate) => {
    const { port } = await badContainer(generate)
    const { fetch } = await edge(port)
    const response = await fetch(CHAT, post({ messages: 'hi', stream: true }))
    expect(response.status).toBe(200)
    const { text, ms } = await rest((response.body as ReadableStream<Uint8Array>).getReader())
    expectErrorEvent(text)
    expect(ms).toBeLessThan(1000)
    const whole = await fetch(CHAT, post({ messages: 'hi' }))
    await expectUpstreamError(whole)
  })

  test.each<[string, number, (stream: ServerHttp2Stream, socket: Socket) => void]>([
    ['a connection lost before the answer is tried again', 3, (_, socket) => socket.destroy()],
    [
      'and so is an answer that ends before it begins',
      3,
      stream => {
        stream.respond({ ':status': 200 })
        stream.end()
      },
    ],
    [
      'an answer in another format is not',
      1,
      stream => {
        stream.respond({ ':status': 200 })
        stream.end('<html>\n')
      },
    ],
    [
      'nor one of somebody else',
      1,
      stream => {
        stream.respond({ ':status': 503 })
        stream.end('<html>')
      },
    ],
  ])('before the first event: %s', async (_, expected, generate) => {
    const { port, numJobs } = await badContainer(generate)
    const { fetch } = await edge(port)
    await expectUpstreamError(await fetch(CHAT, post({ messages: 'hi', stream: true })))
    expect(numJobs()).toBe(expected)
  })

  test('one that takes connections and says nothing', async () => {
    const port = await listening(createServer())
    const { fetch } = await edge(port, { answerTimeoutMs: 200 })
    expect((await fetch(CHAT, post({ messages: 'hi' }))).status).toBe(504)
  })

  test('one that is not there', async () => {
    const server = createServer()
    const port = await listening(server)
    server.close()
    const { fetch } = await edge(port)
    await expectUpstreamError(await fetch(CHAT, post({ messages: 'hi' })))
  })
})

test('sockets, streams and jobs are gone after many requests of all kinds', async () => {
  const container = await scriptedContainer()
  const { fetch } = await edge(container.port)
  for (let i = 0; i < 5; i++) await (await fetch(CHAT, post({ messages: 'hi' }))).text()
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const controller = new AbortController()
      const init = { ...chatStream.init, signal: controller.signal }
      if (i % 3 === 0) return (await fetch(CHAT, post({ messages: 'hi', stream: true }))).text()
      const response = await fetch(CHAT, init).catch(() => undefined)
      if (i % 3 === 1) await response?.body?.getReader().read()
      controller.abort()
      return undefined
    }),
  )
  await expect.poll(container.counts).toMatchObject({ requests: 0, jobs: 0 })
  // Sixty clients have come and gone; the pool has what they needed at a time.
  expect((await container.counts()).connections).toBeLessThanOrEqual(4)
})
