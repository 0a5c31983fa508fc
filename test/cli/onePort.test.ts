import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { textJob } from '../support/textJob.ts'
import { type Running, startListening, tinyModel } from './command.ts'

const started: (Running & { url: string })[] = []
const urls: Record<string, string> = {}
beforeAll(async () => {
  const [serve, container] = await Promise.all([
    startListening('serve', '-m', tinyModel),
    startListening('container', '-m', tinyModel),
  ])
  const edge = await startListening('edge', '--upstream', container.url)
  started.push(serve, container, edge)
  Object.assign(urls, { serve: serve.url, container: container.url, edge: edge.url })
})
afterAll(() => {
  for (const { child } of started) child.kill('SIGKILL')
})

const padding = 'x'.repeat(150_000)
const chat = { model: 'default', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 }

describe.each([
  ['serve', '/v1/chat/completions', { ...chat, user: padding }, /chat\.completion/],
  ['edge', '/v1/chat/completions', { ...chat, user: padding }, /chat\.completion/],
  [
    'container',
    '/engine/generate',
    { ...textJob, maxTokens: 1, requestId: padding },
    /"kind":"usage"/,
  ],
])('the port of %s', (command, path, body, expected) => {
  const json = JSON.stringify(body)

  test('HTTP/1.1, and an offer to upgrade is let pass with the body intact', async () => {
    const request = http.request(`${urls[command]}${path}`, {
      method: 'POST',
      agent: false,
      // What the client of Java's standard library sends by default.
      headers: {
        connection: 'Upgrade, HTTP2-Settings',
        upgrade: 'h2c',
        'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
        'content-length': json.length,
      },
    })
    request.end(json)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect([response.httpVersion, response.statusCode]).toEqual(['1.1', 200])
    expect(await text(response)).toMatch(expected)
  })

  test('HTTP/2 by prior knowledge', async () => {
    const session = connectHttp2(urls[command] ?? '')
    const stream = session.request({ ':method': 'POST', ':path': path })
    stream.end(json)
    expect(await text(stream)).toMatch(expected)
    session.close()
  })
})
