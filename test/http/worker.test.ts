import { expect, test } from 'vitest'
import { bundleWorker } from '../../scripts/workerBundle.ts'
import { startWorkerd } from '../../scripts/workerd.ts'
import { scriptedContainer } from './faultDeployment.ts'
import { defineHttpSuite, post } from './httpSuite.ts'
import { sseData } from './sseData.ts'
import { deployOnWorkerd } from './workerdDeployment.ts'

const { code, gzipBytes } = await bundleWorker()

test('the Worker is small', () => {
  expect(gzipBytes).toBeLessThan(300_000)
})

defineHttpSuite('Worker in workerd, container over HTTP/1.1', deployOnWorkerd(code))

test('a container killed in a stream becomes an error event within a second, then 502', async () => {
  const container = await scriptedContainer()
  const worker = await startWorkerd({
    code,
    env: { UPSTREAMS: `http://127.0.0.1:${container.port}` },
    onLine: () => {},
  })
  try {
    const url = `http://127.0.0.1:${worker.port}/v1/chat/completions`
    const endless = { messages: 'hi', ignore_eos: true, max_tokens: 4000, stream: true }
    const { body } = await fetch(url, post(endless))
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    const startMs = performance.now()
    container.child.kill('SIGKILL')
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += new TextDecoder().decode(value)
    }
    expect(performance.now() - startMs).toBeLessThan(1000)
    expect(sseData(text).pop()).toBe('[DONE]')
    expect(sseData(text).at(-2)).toMatch(/^{"error"/)
    expect((await fetch(url, post(endless))).status).toBe(502)
  } finally {
    await worker.close()
  }
})
