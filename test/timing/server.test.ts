import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { chatRequest, hasDefaultModel, main, Running, startServer } from '../cli/command.ts'

// On its own in `npm test`: other tests beside it would be measured too.
const attempts = { retry: 2, skip: !hasDefaultModel() }
const chatPath = '/v1/chat/completions'
const preload = fileURLToPath(new URL('loopDelay.mjs', import.meta.url))

test('the event loop stays free while every core generates', attempts, async () => {
  const server = await startServer(
    ['--seed', '1'],
    [process.execPath, '--import', preload, main, 'serve'],
  )
  endWithTest(server)
  const delays = async () => {
    server.stdout = ''
    server.child.kill('SIGUSR2')
    const [, p99, max] = await server.waitFor(/loop delay p99 (\S+) ms, max (\S+) ms/)
    return { p99: Number(p99), max: Number(max) }
  }
  await delays() // those of the start
  const long = chatRequest({ stream: true, max_tokens: 400, temperature: 1 })
  // 100 kB to tokenize, only to learn that it does not fit.
  const content = 'All work and no play makes Jack a dull boy. '.repeat(2300)
  const tooLong = chatRequest({ messages: [{ role: 'user', content }] })
  const responses = [...Array(8).fill(long), tooLong].map(async request => {
    const response = await fetch(server.origin + chatPath, request)
    await response.arrayBuffer()
    return response.status
  })
  expect(await Promise.all(responses)).toEqual([...Array(8).fill(200), 400])
  const { p99, max } = await delays()
  console.log(`event loop delay: p99 ${p99} ms, max ${max} ms`)
  expect(p99).toBeLessThan(20)
  await server.end('SIGTERM')
})

test('a server answers while it loads, and is ready soon', attempts, async () => {
  const startMs = performance.now()
  const args = ['serve', '-v', '--host', '127.0.0.1', '--port', '0', '--response-store', 'memory']
  const server = new Running(process.execPath, [main, ...args])
  endWithTest(server)
  const [, port] = await server.waitFor(/bound to port (\d+)/)
  const origin = `http://127.0.0.1:${port}`
  let slowestMs = 0
  const statuses = new Set<number>()
  for (let isReady = false; !isReady; ) {
    const beforeMs = performance.now()
    expect((await fetch(`${origin}/health`)).status).toBe(200)
    slowestMs = Math.max(slowestMs, performance.now() - beforeMs)
    const { status } = await fetch(`${origin}/ready`)
    statuses.add(status)
    isReady = status === 200
    if (!isReady && statuses.size === 1) {
      // One token: it may be ready by now, and the end of the test waits for what runs.
      const early = await fetch(origin + chatPath, chatRequest({ max_tokens: 1 }))
      if (early.status !== 200) {
        expect(early.status).toBe(503)
        expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0)
        expect(await early.json()).toMatchObject({ error: { code: 'model_loading' } })
      }
    }
  }
  const readyMs = performance.now() - startMs
  console.log(`ready after ${readyMs.toFixed(0)} ms, slowest /health ${slowestMs.toFixed(0)} ms`)
  expect([...statuses]).toEqual([503, 200])
  expect(readyMs).toBeLessThan(2000)
  expect(slowestMs).toBeLessThan(200)
  await server.end('SIGTERM')
})

/** Also when the test fails. */
function endWithTest({ child, ended }: Running): void {
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
}
