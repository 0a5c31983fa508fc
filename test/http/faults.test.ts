import type { ServerHttp2Stream } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { scriptedModel } from '../../edge/scriptedEngine.ts'
import { badContainer, edge, listening, scriptedContainer } from './faultDeployment.ts'
import { eventually, post } from './httpSuite.ts'
import { sseData } from './sseData.ts'

const CHAT = '/v1/chat/completions'
const endless = { messages: 'hi', ignore_eos: true, max_tokens: 4000, stream: true }

/** What is left of a stream, and how long it took. */
async function rest(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const startMs = performance.now()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return { text, ms: performance.now() - startMs }
    text += new TextDecoder().decode(value)
  }
}

function expectErrorEvent(text: string): void {
  const data = sseData(text)
  expect(data.pop()).toBe('[DONE]')
  expect(JSON.parse(data.at(-1) ?? '')).toEqual({
    error: { message: expect.any(String), type: 'server_error', param: null, code: null },
  })
}

async function expectUpstreamError(response: Response, status = 502): Promise<void> {
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject({
    error: { type: 'server_error', code: 'upstream_error' },
  })
}

const numSockets = () =>
  process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length

describe('a container in a process of its own', () => {
  test('killed mid-stream: an error event within a second, then 502, no socket left', async () => {
    const { child, port } = await scriptedContainer()
    const { fetch } = await edge(port)
    const idle = numSockets()
    expect((await fetch('/v1/models')).status).toBe(200)
    const streams = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const response = await fetch(CHAT, post(endless))
        const reader = (response.body as ReadableStream<Uint8Array>).getReader()
        await reader.read()
        return reader
      }),
    )
    child.kill('SIGKILL')
    for (const { text, ms } of await Promise.all(streams.map(rest))) {
      expectErrorEvent(text)
      expect(ms).toBeLessThan(1000)
    }
    await expectUpstreamError(await fetch(CHAT, post(endless)))
    expect((await fetch('/ready')).status).toBe(503)
    await eventually(() => numSockets() === idle)
  })

  test('frozen mid-stream: an error event once the silence is too long', async () => {
    const { child, port } = await scriptedContainer()
    const { fetch } = await edge(port, { lostAfterMs: 200 })
    const response = await fetch(CHAT, post(endless))
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
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

const head = { jobId: 'j', model: scriptedModel.id, promptTokens: 1 }
const event = { v: 1, seq: 0, kind: 'text', index: 0, text: 'a ' }
const ndjson = (...values: unknown[]) => values.map(value => `${JSON.stringify(value)}\n`).join('')

describe('a container that breaks the rules', () => {
  const begin = (stream: ServerHttp2Stream, ...values: unknown[]) => {
    stream.respond({ ':status': 200 })
    stream.write(ndjson(head, ...values))
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
      const init = post(endless, { signal: controller.signal })
      if (i % 3 === 0) return (await fetch(CHAT, post({ messages: 'hi', stream: true }))).text()
      const response = await fetch(CHAT, init).catch(() => undefined)
      if (i % 3 === 1) await response?.body?.getReader().read()
      controller.abort()
      return undefined
    }),
  )
  await expect.poll(container.counts).toMatchObject({ requests: 0, jobs: 0 })
  // Sixty clients have come and gone; the pool keeps its four connections at most.
  expect((await container.counts()).connections).toBeLessThanOrEqual(4)
})
