// A server of the bench in a process of its own: `server.ts serve`, `server.ts container [CERT KEY]`, `server.ts edge URL [CA]`,
// `server.ts bare`, or `server.ts relay URL`.
// Sends its port to its parent, and what it has used whenever the parent asks.
import { readFileSync } from 'node:fs'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { listen } from '../../runtime/host/listen.ts'
import { serveApp } from '../../runtime/host/serveApp.ts'
import { serveEdge } from '../../runtime/host/serveEdge.ts'
import { startBareServer, startRelay } from './floorServers.ts'
import { createSyntheticEngine } from './syntheticEngine.ts'

/** What a process has used so far. */
export interface ProcessUsage {
  cpuMs: number
  rssBytes: number
  /** Heap and array buffers: of the resident memory, what JavaScript holds. */
  usedBytes: number
}

const common = {
  host: '127.0.0.1',
  port: 0,
  tls: undefined,
  apiKeys: [],
  keyEntries: [],
  allowedHosts: [],
  corsOrigins: ['*'],
  maxBodyBytes: 2 ** 20,
  keepAliveMs: 10_000,
  responses: 'off' as const,
  strictOpenai: false,
  // As production runs: what is counted costs a little.
  metrics: true,
  accessLog: undefined,
  requestIdHeader: true,
  onInternalError: console.error,
}

const [role, first = '', second] = process.argv.slice(2)

function start(): Promise<{ port: number }> {
  if (role === 'serve') return serveApp({ ...common, engine: createSyntheticEngine() })
  if (role === 'edge') {
    const ca = second === undefined ? {} : { ca: readFileSync(second, 'utf8') }
    return serveEdge({ ...common, upstreams: [first], ...ca })
  }
  if (role === 'bare') return startBareServer()
  if (role === 'relay') return startRelay(first)
  const app = createContainerApp(createSyntheticEngine(), {
    limits: { maxBodyBytes: common.maxBodyBytes },
    onInternalError: console.error,
  })
  const tls = second !== undefined && {
    tls: { cert: readFileSync(first), key: readFileSync(second) },
  }
  return listen(app.fetch, { host: common.host, port: common.port, callers: 'edges', ...tls })
}

process.on('message', message => {
  if (message === 'collect') (globalThis as { gc?: () => void }).gc?.()
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  const usage: ProcessUsage = {
    cpuMs: (user + system) / 1000,
    rssBytes: rss,
    usedBytes: heapUsed + arrayBuffers,
  }
  process.send?.(usage)
})
// The parent is gone.
process.on('disconnect', () => process.exit())

const { port } = await start()
process.send?.(port)
