import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../http/selfSigned.ts'
import {
  chatRequest,
  main,
  mistralrs,
  type Running,
  type RunningServer,
  startListening,
  startServer,
  tinyModel,
} from './command.ts'

const chatPath = '/v1/chat/completions'
const certificate = selfSigned()

let folder = ''
const at = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistralrs-edge-'))
  writeFileSync(at('secret'), 'sesame\n')
  writeFileSync(at('other'), 'pepper\n')
  writeFileSync(at('empty'), '\n')
  writeFileSync(at('cert.pem'), certificate?.cert ?? '')
  writeFileSync(at('key.pem'), certificate?.key ?? '')
})

afterAll(() => {
  for (const { child } of started) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** A test that fails leaves its processes to this list. */
const started: Running[] = []

async function startContainer(...args: string[]): Promise<Running & { url: string }> {
  const running = await startListening('container', '-m', tinyModel, '--seed', '1', ...args)
  started.push(running)
  return running
}

async function startEdge(...args: string[]): Promise<RunningServer> {
  const running = await startServer(args, [process.execPath, main, 'edge'])
  started.push(running)
  return running
}

/** What must not depend on where the model runs. */
async function answers(origin: string): Promise<unknown[]> {
  const bodies = [
    { max_tokens: 20, temperature: 0, logprobs: true, top_logprobs: 2 },
    { max_tokens: 20, seed: 7, n: 2 },
    { max_tokens: -1 },
    { model: 'gpt-9' },
  ]
  return Promise.all(
    bodies.map(async body => {
      const response = await fetch(origin + chatPath, chatRequest(body))
      const { choices, error } = (await response.json()) as Record<string, unknown>
      return { status: response.status, choices, code: (error as { code?: string })?.code }
    }),
  )
}

describe.concurrent('edge and container', () => {
  test('answer what one process answers', async () => {
    const name = ['--served-model-name', 'tiny']
    const server = await startServer(['-m', tinyModel, '--seed', '1', ...name])
    const container = await startContainer(...name, '--secret-file', at('secret'))
    const edge = await startEdge('--upstream', container.url, '--secret-file', at('secret'))
    expect((await fetch(`${edge.origin}/ready`)).status).toBe(200)
    expect(await answers(edge.origin)).toEqual(await answers(server.origin))
    for (const process of [edge, container, server]) {
      expect(await process.end('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
    }
  })

  test.skipIf(certificate === undefined)('over TLS', async () => {
    const tls = ['--tls-cert', at('cert.pem'), '--tls-key', at('key.pem')]
    const container = await startContainer(...tls)
    expect(container.url).toMatch(/^https:/)
    const upstream = ['--upstream', container.url, '--upstream-ca', at('cert.pem')]
    const edge = await startEdge(...upstream)
    expect((await fetch(edge.origin + chatPath, chatRequest({ max_tokens: 3 }))).status).toBe(200)
    const front = await startListening('edge', ...upstream, ...tls)
    started.push(front)
    const session = connectHttp2(front.url, { ca: certificate?.cert ?? '' })
    expect(await text(session.request({ ':path': '/ready' }))).toContain('"ready"')
    session.close()
    const stranger = await startEdge('--upstream', container.url)
    expect((await fetch(`${stranger.origin}/ready`)).status).toBe(503)
    await stranger.waitFor(/no known authority: --upstream-ca/)
    const clear = await startContainer()
    const hasty = await startEdge('--upstream', clear.url.replace('http:', 'https:'))
    await hasty.waitFor(/does not speak TLS: http:/)
    for (const process of [front, edge, stranger, hasty, clear, container])
      await process.end('SIGTERM')
  })

  test('with another secret: 502, and not ready', async () => {
    const container = await startContainer('--secret-file', at('secret'))
    const edge = await startEdge('--upstream', container.url, '--secret-file', at('other'))
    expect((await fetch(edge.origin + chatPath, chatRequest({}))).status).toBe(502)
    expect((await fetch(`${edge.origin}/ready`)).status).toBe(503)
    for (const process of [edge, container]) await process.end('SIGTERM')
  })

  test('a stream outlives SIGTERM to either', async () => {
    const container = await startContainer()
    const edge = await startEdge('--upstream', container.url)
    const response = await fetch(
      edge.origin + chatPath,
      chatRequest({ stream: true, max_tokens: 1900, logit_bias: {} }),
    )
    container.child.kill('SIGTERM')
    edge.child.kill('SIGTERM')
    expect(await response.text()).toMatch(/data: \[DONE\]\n\n$/)
    expect((await edge.ended).code).toBe(0)
    expect((await container.ended).code).toBe(0)
  })

  test('one of two containers may go', async () => {
    const [one, two] = await Promise.all([startContainer(), startContainer()])
    const edge = await startEdge('--upstream', one.url, '--upstream', two.url)
    const statuses = () =>
      Promise.all(
        Array.from({ length: 6 }, async (_, i) => {
          const messages = [{ role: 'user', content: `question ${i}` }]
          const init = chatRequest({ messages, max_tokens: 2 })
          return (await fetch(edge.origin + chatPath, init)).status
        }),
      )
    expect(await statuses()).toEqual([200, 200, 200, 200, 200, 200])
    await one.end('SIGKILL')
    expect(await statuses()).toEqual([200, 200, 200, 200, 200, 200])
    const ready = async () => (await (await fetch(`${edge.origin}/ready`)).json()) as object
    expect(await ready()).toMatchObject({
      status: 'ready',
      detail: expect.stringMatching(/1 of 2/),
    })
    await two.end('SIGKILL')
    const status = async () => (await fetch(edge.origin + chatPath, chatRequest({}))).status
    await expect.poll(status).toBe(502)
    await edge.end('SIGTERM')
  })
})

describe.concurrent('mistakes', () => {
  test.each([
    ['an edge of nothing', ['edge'], "required option '--upstream <url>'", 2],
    ['no address', ['edge', '--upstream', 'gpu-0'], 'https://gpu-0:8443', 2],
    ['a password', ['edge', '--upstream', 'http://me:secret@a'], 'see --secret-file', 2],
    ['no port', ['edge', '--upstream', 'http://a', '--port', 'x'], '0 to 65535', 2],
    ['half a certificate', ['container', '--tls-cert', 'cert.pem'], 'need each other', 1],
    ['half of one for serve', ['serve', '--tls-key', 'key.pem'], 'need each other', 1],
    ['no secret', ['container', '--secret-file', 'nowhere'], '--secret-file', 1],
    [
      'an empty secret',
      ['edge', '--upstream', 'http://a', '--secret-file', 'empty'],
      'one line',
      1,
    ],
    ['a bad certificate', ['container', '--tls-cert', 'secret', '--tls-key', 'secret'], 'PEM', 1],
  ])('%s', async (_, args, message, code) => {
    const paths = args.map(arg => (/^(cert\.pem|secret|empty|nowhere)$/.test(arg) ? at(arg) : arg))
    const ended = await mistralrs(paths)
    expect(ended.stderr).toContain(message)
    expect(ended.code).toBe(code)
  })
})
