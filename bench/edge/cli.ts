import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from '../../test/http/selfSigned.ts'
import {
  connectClients,
  heldByStreams,
  latencies,
  peakRss,
  percentile,
  stallCost,
  throughput,
} from './measures.ts'
import { ServerProcess } from './serverProcess.ts'
import type { Script } from './syntheticEngine.ts'

/**
 * `npm run bench:edge`: what the edge costs, with an engine that costs nothing. Each server is a process of its own, as in
 * production; the client is this process. "in process" is edge and engine in one, as `mistralrs serve` has them.
 */

const BYTES_PER_KB = 1000

const [cpu] = cpus()
console.log(`${cpu?.model} · ${cpus().length} cores · Node ${process.version} · loopback\n`)

const folder = mkdtempSync(join(tmpdir(), 'mistralrs-bench-'))
const certificate = selfSigned()
const tlsFiles = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
if (certificate) {
  writeFileSync(tlsFiles.cert, certificate.cert)
  writeFileSync(tlsFiles.key, certificate.key)
}

interface Hop {
  edge: ServerProcess
  container: ServerProcess
}

async function startHop(tls: boolean): Promise<Hop> {
  const container = tls
    ? await ServerProcess.start('container', tlsFiles.cert, tlsFiles.key)
    : await ServerProcess.start('container')
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${container.port}`
  const edge = await ServerProcess.start('edge', url, ...(tls ? [tlsFiles.cert] : []))
  return { edge, container }
}

async function stopHop({ edge, container }: Hop): Promise<void> {
  await edge.stop()
  await container.stop()
}

async function benchLatency(): Promise<void> {
  const inProcess = await ServerProcess.start('serve')
  const hops = new Map([['h2c', await startHop(false)]])
  if (certificate) hops.set('TLS h2', await startHop(true))
  const servers = new Map<string, ServerProcess>([['in process', inProcess]])
  for (const [name, { edge }] of hops) servers.set(name, edge)
  const samples = await latencies([...servers.values()], 300)
  // The fastest tenth says what the hop costs where nothing else wants the processor.
  console.log(
    '| latency, ms | first event p50 (p10-p95) | added p50, p10 | an event p50 (p10-p95) | added p50, p10 |',
  )
  console.log('|---|---|---|---|---|')
  const [base] = samples
  for (const [i, name] of [...servers.keys()].entries()) {
    const cells = [
      [samples[i]?.firstEventMs, base?.firstEventMs],
      [samples[i]?.eventMs, base?.eventMs],
    ].flatMap(([mine = [], theirs = []]) => {
      const at = (fraction: number) => percentile(mine, fraction)
      const added = (fraction: number) => (at(fraction) - percentile(theirs, fraction)).toFixed(3)
      return [
        `${at(0.5).toFixed(3)} (${at(0.1).toFixed(3)}-${at(0.95).toFixed(3)})`,
        mine === theirs ? '' : `${added(0.5)}, ${added(0.1)}`,
      ]
    })
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
  for (const hop of hops.values()) await stopHop(hop)
  await inProcess.stop()
}

const loads: [string, Script][] = [
  ['64 x 1,600 events/s', { steps: 4800, stepMs: 1 / 1.6 }],
  ['as fast as it goes, 1 event a step', { steps: 3000 }],
  ['as fast as it goes, 4 events a step', { steps: 1500, eventsPerStep: 4 }],
]

async function benchThroughput(): Promise<void> {
  console.log(
    '\n| 64 streams | edge | events/s | CPU ms / 1,000 events | cores used | events/s a core |',
  )
  console.log('|---|---|---|---|---|---|')
  const hop = await startHop(false)
  const inProcess = await ServerProcess.start('serve')
  const bare = await ServerProcess.start('bare')
  for (const [load, script] of loads) {
    for (const [name, server] of [
      ['in process', inProcess],
      ['h2c', hop.edge],
      ['`node:http` alone', bare],
    ] as const) {
      // It knows of one event a step only, and its timers of whole milliseconds.
      if (server === bare && (script.eventsPerStep ?? script.stepMs) !== undefined) continue
      const clients = await connectClients(server, 64)
      await throughput(server, clients, { ...script, steps: 500 })
      const { eventsPerSecond, cpuMsPer1000, cores } = await throughput(server, clients, script)
      for (const client of clients) client.close()
      console.log(
        `| ${load} | ${name} | ${eventsPerSecond.toFixed(0)} | ${cpuMsPer1000.toFixed(2)} | ${cores.toFixed(2)} | ${(1e6 / cpuMsPer1000).toFixed(0)} |`,
      )
    }
  }
  await bare.stop()
  await inProcess.stop()
  await stopHop(hop)
}

/** Growth of a server's resident memory at the peak of 2,000 streams, for each, once it has served 64 others. */
async function peakGrowth(server: ServerProcess): Promise<number> {
  const warm = await connectClients(server, 64)
  await throughput(server, warm, { steps: 1000 })
  for (const client of warm) client.close()
  const { rssBytes } = await server.usage()
  const clients = await connectClients(server, 2000)
  const all = throughput(server, clients, { steps: 40, stepMs: 200 })
  const growth = (await peakRss(server, all)) - rssBytes
  for (const client of clients) client.close()
  return growth / clients.length
}

async function benchMemory(): Promise<void> {
  const kb = (bytes: number) => `${(bytes / BYTES_PER_KB).toFixed(0)} kB`
  console.log('\n| memory | |')
  console.log('|---|---|')
  const bare = await ServerProcess.start('bare')
  console.log(
    `| 2,000 streams at once, all complete: \`node:http\` alone | ${kb(await peakGrowth(bare))} a stream at the peak |`,
  )
  await bare.stop()
  const inProcess = await ServerProcess.start('serve')
  const relay = await ServerProcess.start('relay', `http://127.0.0.1:${inProcess.port}`)
  console.log(
    `| the same: and HTTP/2 to a server whose bytes it passes on | ${kb(await peakGrowth(relay))} |`,
  )
  await relay.stop()
  await inProcess.stop()
  const fresh = await startHop(false)
  console.log(`| the same: a fresh edge | ${kb(await peakGrowth(fresh.edge))} |`)
  await stopHop(fresh)
  const many = await startHop(false)
  await latencies([many.edge], 200)
  console.log(
    `| the same: an edge that has answered 1,200 requests | ${kb(await peakGrowth(many.edge))} |`,
  )
  const held = await heldByStreams(many.edge, 2000)
  await stopHop(many)
  console.log(`| the same, kept without garbage: heap and array buffers | ${kb(held)} |`)
  const stalls = await startHop(false)
  const cost = await stallCost(stalls.edge, stalls.container, { first: 200, counted: 800 })
  console.log(
    `| a client that stalls on 32 MB (800 after a first 200): edge | ${kb(cost.edgeBytes)} |`,
  )
  console.log(`| the same: container | ${kb(cost.containerBytes)} |`)
  console.log(
    `| first event of a new request beside 1,000 stalled ones, p50 (max) | ${percentile(cost.freshMs, 0.5).toFixed(1)} (${percentile(cost.freshMs, 1).toFixed(1)}) ms |`,
  )
  await stopHop(stalls)
}

try {
  await benchLatency()
  await benchThroughput()
  await benchMemory()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
