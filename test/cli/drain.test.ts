import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { textJob } from '../support/textJob.ts'
import { chatRequest, type Running, startListening, tinyModel } from './command.ts'

const full = process.env.MISTRALRS_TEST_FULL === '1'

/** More than the buffers on the way hold, so a stream that is not read is not over either. */
const large = {
  stream: true,
  max_tokens: 1900,
  ignore_eos: true,
  n: 8,
  logprobs: true,
  top_logprobs: 20,
}
const chat = {
  path: '/v1/chat/completions',
  long: chatRequest(large),
  short: chatRequest({ max_tokens: 2 }),
  lastLine: /^data: \[DONE\]$/,
  refusal: { error: { code: 'server_shutting_down' } },
}
const generate = {
  path: '/engine/generate',
  long: post({ ...textJob, n: 8, maxTokens: 1900, ignoreEos: true, logprobs: { top: 20 } }),
  short: post({ ...textJob, maxTokens: 2 }),
  lastLine: /"kind":"usage"/,
  refusal: { error: { kind: 'draining' } },
}

function post(body: object): RequestInit {
  return { method: 'POST', body: JSON.stringify(body) }
}

const started: Running[] = []
const end = () => {
  for (const { child } of started.splice(0)) child.kill('SIGKILL')
}
afterEach(end)

const model = ['-m', tinyModel, '--seed', '1']
let upstream: Running & { url: string }
beforeAll(async () => {
  upstream = await startListening('container', ...model)
})
afterAll(() => upstream?.child.kill('SIGKILL'))

async function start(...args: string[]) {
  const running = await startListening(...args)
  started.push(running)
  return running
}

const commands = {
  serve: { ...chat, args: () => model },
  edge: { ...chat, args: () => ['--upstream', upstream.url] },
  container: { ...generate, args: () => model },
}

describe.each(Object.entries(commands))('SIGTERM to %s', (command, target) => {
  /** A server that has been told to end while a stream, which nobody reads so far, holds it. */
  async function draining() {
    const server = await start(command, ...target.args())
    const response = await fetch(server.url + target.path, target.long)
    expect(response.status).toBe(200)
    server.child.kill('SIGTERM')
    await server.waitFor(/Shutting down/)
    return { server, response }
  }

  test('not ready, new work refused, the running stream finishes, exit code 0', async () => {
    const { server, response } = await draining()
    const ready = await fetch(`${server.url}/ready`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({ status: 'draining' })
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    const refused = await fetch(server.url + target.path, target.short)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject(target.refusal)
    const lines = (await response.text()).trim().split('\n')
    expect(lines.at(-1)).toMatch(target.lastLine)
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second signal, %s, ends it at once', async (signal, code) => {
    const { server, response } = await draining()
    // What comes within a tenth of a second is the same signal, passed on by npm.
    await new Promise(resolve => setTimeout(resolve, 200))
    server.child.kill(signal)
    expect((await server.ended).code).toBe(code)
    await response.body?.cancel().catch(() => {})
  })

  test.runIf(full)(
    'a stream that outlives the deadline does not keep it: exit code 0',
    async () => {
      const { server, response } = await draining()
      const startMs = performance.now()
      expect((await server.ended).code).toBe(0)
      expect(performance.now() - startMs).toBeGreaterThan(20_000)
      await response.body?.cancel().catch(() => {})
    },
    60_000,
  )
})

test('a container that drains is passed over by its edge', async () => {
  const [one, two] = await Promise.all([start('container', ...model), start('container', ...model)])
  const edge = await start('edge', '--upstream', one.url, '--upstream', two.url)
  const held = await fetch(one.url + generate.path, generate.long)
  one.child.kill('SIGTERM')
  await one.waitFor(/Shutting down/)
  const answers = Array.from({ length: 8 }, async (_, i) => {
    const messages = [{ role: 'user', content: `question ${i}` }]
    const init = chatRequest({ messages, max_tokens: 2 })
    return (await fetch(edge.url + chat.path, init)).status
  })
  expect(new Set(await Promise.all(answers))).toEqual(new Set([200]))
  await held.text()
  expect((await one.ended).code).toBe(0)
  const detail = async () => (await fetch(`${edge.url}/ready`)).text()
  await expect.poll(detail).toMatch(/1 of 2/)
})
