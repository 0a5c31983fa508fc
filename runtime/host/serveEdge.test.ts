import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { eventually } from '../../test/http/httpSuite.ts'
import { serveEdge } from './serveEdge.ts'

test('an edge that closes while it asks a container how it is says nothing wrong of it', async () => {
  const health = { ready: true, running: 0, waiting: 0, kvPagesUsed: 0, kvPagesTotal: 1 }
  let answering = () => {}
  let numAsked = 0
  const container = createServer((_, response) => {
    const answer = () => response.end(JSON.stringify(health))
    if (++numAsked === 1) answer()
    else answering = answer
  })
  container.listen(0, '127.0.0.1')
  await once(container, 'listening')
  const told: unknown[] = []
  const edge = await serveEdge({
    upstreams: [`http://127.0.0.1:${(container.address() as AddressInfo).port}`],
    onUpstreamChange: (_, state) => told.push(state),
    healthIntervalMs: 1,
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    apiKeys: [],
    keyEntries: [],
    corsOrigins: [],
    allowedHosts: [],
    maxBodyBytes: 1000,
    keepAliveMs: 10_000,
    strictOpenai: false,
    responses: 'off',
    metrics: false,
    accessLog: undefined,
    requestIdHeader: true,
    onInternalError: error => told.push(error),
  })
  await eventually(() => numAsked === 2)
  const closed = edge.close(1000)
  setTimeout(answering, 50)
  await closed
  expect(told).toEqual([{ usable: true, detail: 'ready' }])
  container.close()
})
