import { expect, test } from 'vitest'
import { bundleWorker } from '../../scripts/workerBundle.ts'
import { type Deploy, deployInProcess } from '../http/deployment.ts'
import { deployWithHop } from '../http/hopDeployment.ts'
import { post } from '../http/httpSuite.ts'
import { deployOnNode } from '../http/nodeServer.ts'
import { selfSigned } from '../http/selfSigned.ts'
import { deployOnWorkerd } from '../http/workerdDeployment.ts'

const MAX_ABORT_MS = 100
const NUM_STREAMS = 10

const certificate = selfSigned()
const deployments: [string, Deploy | undefined][] = [
  ['in process', deployInProcess],
  ['over HTTP/1.1', deployOnNode],
  ['behind an edge, h2c', deployWithHop()],
  ['behind an edge, TLS h2', certificate && deployWithHop(certificate)],
  ['behind a Worker', deployOnWorkerd((await bundleWorker()).code)],
]

for (const [name, deploy] of deployments) {
  const options = { retry: 2, skip: deploy === undefined }
  test(
    `a client that leaves ends its job within ${MAX_ABORT_MS} ms: ${name}`,
    options,
    async () => {
      const deployment = await deploy?.({ engine: { stepDelayMs: 20 } })
      if (deployment === undefined) return
      const { engine, fetch, close } = deployment
      try {
        const request = { messages: 'hi', ignore_eos: true, max_tokens: 4000, stream: true }
        let slowestMs = 0
        for (let i = 1; i <= NUM_STREAMS; i++) {
          const response = await fetch('/v1/chat/completions', post(request))
          const reader = (response.body as ReadableStream<Uint8Array>).getReader()
          await reader.read()
          const leftMs = performance.now()
          await reader.cancel()
          while (engine.numAborted < i) await new Promise(resolve => setTimeout(resolve, 1))
          slowestMs = Math.max(slowestMs, performance.now() - leftMs)
        }
        console.log(`${name}: ${NUM_STREAMS} jobs ended within ${slowestMs.toFixed(1)} ms`)
        expect(engine.numActive).toBe(0)
        expect(slowestMs).toBeLessThan(MAX_ABORT_MS)
      } finally {
        await close()
      }
    },
  )
}
