import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { createScriptedEngine } from '../../edge/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import type { Callers } from '../../runtime/host/httpServers.ts'
import { listen } from '../../runtime/host/listen.ts'
import { appDefaults } from './deployment.ts'
import { cleanups, counts, expectNothingLeft } from './faultDeployment.ts'
import { eventually, post } from './httpSuite.ts'

const job = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['hi'] },
  n: 1,
  sampling: {},
  stop: [],
}
const targets = {
  'an edge': {
    callers: 'clients' as Callers,
    path: '/v1/chat/completions',
    short: { messages: 'hi', max_tokens: 2 },
    stream: { messages: 'hi', ignore_eos: true, max_tokens: 4000, stream: true },
    app: (engine: ReturnType<typeof createScriptedEngine>) => createApp({ ...appDefaults, engine }),
  },
  'a container': {
    callers: 'edges' as Callers,
    path: '/engine/generate',
    short: { ...job, maxTokens: 2 },
    stream: { ...job, maxTokens: 4000, ignoreEos: true },
    app: (engine: ReturnType<typeof createScriptedEngine>) =>
      createContainerApp(engine, {
        limits: appDefaults.limits,
        onInternalError: error => {
          throw error
        },
      }),
  },
}

type Target = Awaited<ReturnType<typeof start>>

async function start({
  callers,
  path,
  short,
  stream,
  app,
}: (typeof targets)['an edge' | 'a container']) {
  const engine = createScriptedEngine({ stepDelayMs: 5 })
  const listener = await listen(app(engine).fetch, {
    host: '127.0.0.1',
    port: 0,
    callers,
    patience: { headersMs: 400, graceMs: 400, minBytesPerSecond: 500 },
  })
  cleanups.push(() => listener.close(0))
  expectNothingLeft('the server', async () => ({ ...counts(listener), jobs: engine.numActive }))
  const { port } = listener
  return { engine, port, path, short, stream }
}

/** Opens a connection, writes to it, and collects what comes back until it is closed. */
function talk(port: number, ...parts: string[]) {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', data => {
    received += data
  })
  socket.on('error', () => {})
  for (const part of parts) socket.write(part)
  const closed = new Promise<string>(resolve => socket.once('close', () => resolve(received)))
  return { socket, closed, received: () => received }
}

const head = (path: string, ...lines: string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n')

/** Writes a byte every now and then for as long as anybody listens. */
async function dribble(socket: Socket): Promise<void> {
  while (socket.writable) {
    socket.write('1')
    await sleep(50)
  }
}

const cases: [string, (target: Target) => Promise<unknown>][] = [
  [
    'a byte of the headers now and then: 408',
    async ({ port, path }) => {
      const { socket, closed } = talk(port, `POST ${path} HTTP/1.1\r\nHost: x\r\nx: `)
      await dribble(socket)
      expect(await closed).toMatch(/^HTTP\/1\.1 408 /)
    },
  ],
  [
    'a byte of the body now and then: 408',
    async ({ port, path }) => {
      const { socket, closed } = talk(port, head(path, 'Content-Length: 1000'))
      await dribble(socket)
      expect(await closed).toMatch(/^HTTP\/1\.1 408 .*request_timeout/s)
    },
  ],
  [
    'a body that says it is too large: 413',
    async ({ port, path }) => {
      const { closed } = talk(port, head(path, 'Content-Length: 100001'), '{')
      expect(await closed).toMatch(/^HTTP\/1\.1 413 /)
    },
  ],
  [
    'a body that turns out too large: 413',
    async ({ port, path }) => {
      const { socket, received } = talk(port, head(path, 'Transfer-Encoding: chunked'))
      const chunk = `2710\r\n${' '.repeat(10_000)}\r\n`
      while (socket.writable && received() === '') {
        socket.write(chunk)
        await sleep(1)
      }
      expect(received()).toMatch(/^HTTP\/1\.1 413 /)
      socket.destroy()
    },
  ],
  [
    'a body that ends early',
    async ({ port, path }) => {
      const { socket, closed } = talk(port, head(path, 'Content-Length: 1000'), '{"')
      await sleep(20)
      socket.end()
      await closed
    },
  ],
  [
    'headers that are too large: 431',
    async ({ port, path }) => {
      const { closed } = talk(port, head(path, `x: ${'x'.repeat(100_000)}`))
      expect(await closed).toMatch(/^HTTP\/1\.1 431 /)
    },
  ],
  [
    'no HTTP at all: 400',
    async ({ port }) => {
      expect(await talk(port, 'nonsense\r\n\r\n').closed).toMatch(/^HTTP\/1\.1 400 /)
    },
  ],
  [
    'HTTP/2 that is none',
    async ({ port }) => {
      await talk(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'x'.repeat(1000)).closed
    },
  ],
  ...(['end', 'destroy'] as const).map((leave): (typeof cases)[number] => [
    `a stream left by ${leave}: its job ends`,
    async ({ port, path, stream, engine }) => {
      const body = JSON.stringify(stream)
      const { socket, closed } = talk(port, head(path, `Content-Length: ${body.length}`), body)
      await once(socket, 'data')
      socket[leave]()
      await closed
      await eventually(() => engine.numAborted === 1)
    },
  ]),
  [
    'a stream that is reset as soon as it is asked for, without end: the connection is',
    async ({ port, path, stream }) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`)
      session.on('error', () => {})
      const goaway = new Promise(resolve => session.once('goaway', resolve))
      const closed = new Promise<void>(resolve => session.once('close', () => resolve()))
      const body = JSON.stringify(stream)
      for (let i = 0; i < 40_000 && !session.closed && !session.destroyed; i++) {
        const request = session.request({ ':method': 'POST', ':path': path })
        request.on('error', () => {})
        request.end(body)
        request.close(constants.NGHTTP2_CANCEL)
        if (i % 100 === 0) await new Promise(setImmediate)
      }
      expect(await goaway).toBe(constants.NGHTTP2_INTERNAL_ERROR)
      await closed
    },
  ],
]

describe.each(Object.entries(targets))('%s', (_, target) => {
  test.each(cases)('%s', async (_, run) => {
    const server = await start(target)
    await run(server)
    const init = post(server.short, { headers: { connection: 'close' } })
    const { status } = await fetch(`http://127.0.0.1:${server.port}${server.path}`, init)
    expect(status).toBe(200)
  })
})
