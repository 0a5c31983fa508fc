import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { bundleWorker } from '../../scripts/workerBundle.ts'
import { startWorkerd } from '../../scripts/workerd.ts'
import {
  acceptedLine,
  cleanups,
  expectNothingLeft,
  listening,
  ndjson,
  scriptedContainer,
  textEvent,
} from './faultDeployment.ts'
import { post } from './httpSuite.ts'
import { chatStream, expectUpstreamError, lostStreams, opened, rest } from './lostStreams.ts'

const { code } = await bundleWorker()

/** The Worker in workerd, in front of whatever listens on `port`. */
async function worker(port: number, secret?: string) {
  const { port: workerPort, close } = await startWorkerd({
    code,
    env: {
      UPSTREAMS: `http://127.0.0.1:${port}`,
      ...(secret !== undefined && { ENGINE_SECRET: secret }),
    },
    onLine: () => {},
  })
  cleanups.push(close)
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${workerPort}${path}`, init)
}

test('a container killed mid-stream: an error event of each protocol within a second, then 502', async () => {
  const { child, port } = await scriptedContainer()
  const fetch = await worker(port)
  const readers = await Promise.all(
    lostStreams.map(async ({ path, init }) => opened(await fetch(path, init))),
  )
  child.kill('SIGKILL')
  for (const [i, { text, ms }] of (await Promise.all(readers.map(rest))).entries()) {
    lostStreams[i]?.expectError(text)
    expect(ms).toBeLessThan(1000)
  }
  await expectUpstreamError(await fetch(chatStream.path, chatStream.init))
})

test('another secret is 502, a job that is too large for the container 413', async () => {
  const { port } = await scriptedContainer('sesame')
  await expectUpstreamError(await (await worker(port))(chatStream.path, chatStream.init))
  const fetch = await worker(port, 'sesame')
  const messages = [{ role: 'user', content: 'x'.repeat(60_000) }]
  const { status } = await fetch(chatStream.path, post({ model: 'default', messages }))
  expect(status).toBe(413)
})

/** Knows its model; what it does with a job is the test's. */
async function badContainer(generate: (response: ServerResponse) => void): Promise<number> {
  let numJobs = 0
  const server = createServer((request, response) => {
    if (request.url !== '/engine/generate') {
      response.end(JSON.stringify({ models: [scriptedModel] }))
      return
    }
    numJobs++
    request.resume()
    response.on('close', () => numJobs--)
    generate(response)
  })
  expectNothingLeft('a bad container', async () => ({ connections: 0, requests: numJobs, jobs: 0 }))
  return listening(server)
}

const begin = (response: ServerResponse, ...lines: string[]) =>
  response.write([acceptedLine, ndjson(textEvent), ...lines].join(''))

test.each<[string, (response: ServerResponse) => void]>([
  ['an early end', response => response.end(acceptedLine + ndjson(textEvent))],
  ['an end inside a line', response => response.end(`${acceptedLine}${ndjson(textEvent)}{"v":1`)],
  [
    'a destroyed connection',
    response => {
      begin(response)
      setTimeout(() => response.destroy(), 50)
    },
  ],
  [
    'a half-closed connection',
    response => {
      begin(response)
      setTimeout(() => response.socket?.end(), 50)
    },
  ],
  ['a line that is no event', response => begin(response, 'nonsense\n')],
  ['an event out of order', response => begin(response, ndjson({ ...textEvent, seq: 7 }))],
])('mid-stream: %s', async (_, generate) => {
  const fetch = await worker(await badContainer(generate))
  const response = await fetch(chatStream.path, chatStream.init)
  expect(response.status).toBe(200)
  const { text, ms } = await rest((response.body as ReadableStream<Uint8Array>).getReader())
  chatStream.expectError(text)
  expect(ms).toBeLessThan(1000)
})

test.each<[string, (response: ServerResponse) => void]>([
  ['a lost connection', response => response.destroy()],
  ['an answer of somebody else', response => response.end('<html>\n')],
])('before the first event: %s', async (_, generate) => {
  const fetch = await worker(await badContainer(generate))
  await expectUpstreamError(await fetch(chatStream.path, chatStream.init))
})

test('a container that says nothing is found out in ten seconds, and then left alone', async () => {
  const asked: (string | undefined)[] = []
  const port = await listening(createServer(({ url }) => asked.push(url)))
  const fetch = await worker(port)
  fetch('/v1/models').catch(() => {})
  await expect.poll(() => asked).toEqual(['/engine/models'])
  await sleep(10_100)
  for (let i = 0; i < 3; i++) {
    const response = await fetch('/v1/models')
    expect([response.status, response.headers.get('retry-after')]).toEqual([
      503,
      expect.stringMatching(/^[1-5]$/),
    ])
  }
  expect(asked).toEqual(['/engine/models', '/engine/health'])
}, 30_000)
