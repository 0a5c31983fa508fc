import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import type { LogEntry } from '../../edge/deps.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import type { Callers } from '../../runtime/host/httpServers.ts'
import { listen } from '../../runtime/host/listen.ts'
import { talk } from '../support/talk.ts'
import { textJob } from '../support/textJob.ts'
import { appDefaults } from './deployment.ts'
import { cleanups, counts, expectNothingLeft } from './faultDeployment.ts'
import { eventually, post } from './httpSuite.ts'

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
    short: { ...textJob, maxTokens: 2 },
    stream: { ...textJob, maxTokens: 4000, ignoreEos: true },
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
    patience: { headersMs: 400, graceMs: 400, minBytesPerSecond: 500, answerMs: 400, idleMs: 400 },
  })
  cleanups.push(() => listener.close(0))
  expectNothingLeft('the server', async () => ({ ...counts(listener), jobs: engine.numActive }))
  const { port } = listener
  return { engine, port, path, short, stream }
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

/** The preface and an empty SETTINGS frame (RFC 9113, 3.4). */
const HTTP2_START = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'

/** HEADERS of a POST and the RST_STREAM that cancels it (RFC 9113, 6.2 and 6.4; RFC 7541, 6.1 and 6.2.2). */
function takenBack(path: string, index: number): Buffer {
  const headers = Buffer.from([0x83, 0x86, 0x04, path.length, ...Buffer.from(path)])
  const frames = Buffer.alloc(9 + headers.length + 9 + 4)
  const id = 2 * index + 1
  frames[2] = headers.length
  frames[3] = 1
  frames[4] = 4
  frames.writeUInt32BE(id, 5)
  headers.copy(frames, 9)
  const reset = 9 + headers.length
  frames[reset + 2] = 4
  frames[reset + 3] = 3
  frames.writeUInt32BE(id, reset + 5)
  frames[reset + 12] = 8
  return frames
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
      expect(await closed).toMatch(/^HTTP\/1\.1 408 .*The request body came too slowly/s)
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
    'HTTP/2 that never asks for anything',
    async ({ port }) => {
      // Then the beginning of a frame.
      await talk(port, HTTP2_START, '\0').closed
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
    'rapid reset, streams that are taken back as soon as they are asked for: the connection ends',
    async ({ port, path }) => {
      const { socket, closed } = talk(port, HTTP2_START)
      for (let first = 0; first < 5_000 && socket.writable; first += 1000) {
        socket.write(
          Buffer.concat(Array.from({ length: 1000 }, (_, i) => takenBack(path, first + i))),
        )
        await sleep(1)
      }
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

test('a page whose upload is too slow may read why, in the words of its API', async () => {
  const log: LogEntry[] = []
  const app = createApp({ ...appDefaults, engine: createScriptedEngine(), log: e => log.push(e) })
  const { port } = await start({ ...targets['an edge'], app: () => app })
  const path = '/v1/messages'
  const { socket, closed } = talk(
    port,
    head(path, 'Origin: https://app.example', 'x-request-id: me', 'Content-Length: 1000'),
  )
  await dribble(socket)
  const answer = await closed
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(answer).toMatch(/^access-control-allow-origin: \*\r$/m)
  expect(answer).toMatch(/^x-request-id: me\r$/m)
  expect(answer).toMatch(/"type":"error","error":\{"type":"invalid_request_error"/)
  expect(log.at(-1)).toMatchObject({ requestId: 'me', status: 408, end: 'error' })
})
