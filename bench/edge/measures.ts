import type { ProcessUsage } from './server.ts'
import type { ServerProcess } from './serverProcess.ts'
import { StreamClient } from './streamClient.ts'
import type { Script } from './syntheticEngine.ts'

/** What a stalled client asks for: 32 MB of text, which nobody could hold back. */
const ENDLESS: Script = { steps: 8000, textBytes: 4000 }

export function percentile(values: number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? Number.NaN
}

export interface Latency {
  /** From a request, on a connection that is there already, to its first event. */
  firstEventMs: number[]
  /** From the making of an event to its arrival at the client. */
  eventMs: number[]
}

/** Latencies of several servers, which take turns, since a machine changes from minute to minute. */
export async function latencies(servers: ServerProcess[], numRounds: number): Promise<Latency[]> {
  // Until V8 has compiled what runs: after 20 requests one still takes three times as long, behind the hop too.
  const warmUp = 1000
  const pairs = await Promise.all(
    servers.map(async server => ({
      client: await StreamClient.connect(server.port),
      latency: { firstEventMs: [], eventMs: [] } as Latency,
    })),
  )
  for (let round = -warmUp; round < numRounds; round++) {
    for (const { client, latency } of pairs) {
      const { firstEventMs } = await client.stream({ steps: 1 })
      if (round >= 0) latency.firstEventMs.push(firstEventMs)
    }
  }
  for (let round = 0; round < numRounds / 10; round++) {
    for (const { client, latency } of pairs) latency.eventMs.push(...(await eventLatency(client)))
  }
  for (const { client } of pairs) client.close()
  return pairs.map(({ latency }) => latency)
}

/** Of the events of one stream, but for the first. */
async function eventLatency(client: StreamClient): Promise<number[]> {
  const eventMs: number[] = []
  await client.stream({ steps: 41, stepMs: 2, stamped: true }, chunk => {
    const nowNs = process.hrtime.bigint()
    for (const [, stamp = ''] of chunk.toString('latin1').matchAll(/"content":"@(\d+)"/g)) {
      eventMs.push(Number(nowNs - BigInt(stamp)) / 1e6)
    }
  })
  return eventMs.slice(1)
}

export interface Throughput {
  numEvents: number
  eventsPerSecond: number
  /** CPU time of the server process, kernel included, for 1,000 events. */
  cpuMsPer1000: number
  /** CPU time by wall time. */
  cores: number
}

/** Runs the same script on every client at once. @throws Error when an event is missing */
export async function throughput(
  server: ServerProcess,
  clients: StreamClient[],
  script: Script,
): Promise<Throughput> {
  const startMs = performance.now()
  const before = await server.usage()
  const results = await Promise.all(clients.map(client => client.stream(script)))
  const after = await server.usage()
  const wallMs = performance.now() - startMs
  const numEvents = results.reduce((sum, result) => sum + result.numEvents, 0)
  // A stream's own: one that opens it and one that closes it.
  const expected = clients.length * (script.steps * (script.eventsPerStep ?? 1) + 2)
  if (numEvents !== expected) throw new Error(`${numEvents} events of ${expected} arrived`)
  const cpuMs = after.cpuMs - before.cpuMs
  return {
    numEvents,
    eventsPerSecond: (numEvents / wallMs) * 1000,
    cpuMsPer1000: (cpuMs / numEvents) * 1000,
    cores: cpuMs / wallMs,
  }
}

export function connectClients(server: ServerProcess, count: number): Promise<StreamClient[]> {
  return Promise.all(Array.from({ length: count }, () => StreamClient.connect(server.port)))
}

/** Largest resident memory of a server while `work` goes on, in bytes. */
export async function peakRss(server: ServerProcess, work: Promise<unknown>): Promise<number> {
  let peak = 0
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) {
    peak = Math.max(peak, (await server.usage()).rssBytes)
    await Promise.race([done, new Promise(resolve => setTimeout(resolve, 100))])
  }
  await done
  return peak
}

/**
 * Of many streams that run at once, what the server keeps for each: growth of its heap and array buffers without garbage,
 * since before the clients connected, when the last of them has had its first event.
 */
export async function heldByStreams(
  server: ServerProcess,
  count: number,
  promptBytes = 0,
): Promise<number> {
  const before = await usageAtRest(server)
  const clients = await connectClients(server, count)
  const begun = Promise.withResolvers<void>()
  let numRunning = 0
  const streams = clients.map(async client => {
    let hasBegun = false
    await client.stream({ steps: 2, stepMs: 5000, promptBytes }, () => {
      if (hasBegun) return
      hasBegun = true
      if (++numRunning === count) begun.resolve()
    })
    numRunning--
  })
  // On a machine with other things to do the first may end before the last has begun.
  await Promise.race([begun.promise, ...streams])
  const counted = numRunning
  const during = await server.usage({ collect: true })
  await Promise.all(streams)
  for (const client of clients) client.close()
  return (during.usedBytes - before.usedBytes) / counted
}

/** Without garbage, once what earlier clients have left is gone: that takes some turns after their sockets have closed. */
async function usageAtRest(server: ServerProcess): Promise<ProcessUsage> {
  for (let last = await server.usage({ collect: true }); ; ) {
    await new Promise(resolve => setTimeout(resolve, 500))
    const usage = await server.usage({ collect: true })
    if (last.usedBytes - usage.usedBytes < 2 ** 18) return usage
    last = usage
  }
}

export interface StallCost {
  /** Growth of resident memory for each stalled client; with few of them the allocator's habits show in it. */
  edgeBytes: number
  containerBytes: number
  /** Growth of what JavaScript holds. */
  edgeUsedBytes: number
  containerUsedBytes: number
  /** Until the first event of a new request, on a new connection. */
  freshMs: number[]
}

/**
 * Lets clients stall, and asks for more while they do. What a process takes once for all of them (its heap, what the
 * allocator keeps) is left out by busy streams and a first group of stalled ones whose memory is not counted.
 */
export async function stallCost(
  edge: ServerProcess,
  container: ServerProcess,
  { first, counted }: { first: number; counted: number },
): Promise<StallCost> {
  const busy = await connectClients(edge, 64)
  await throughput(edge, busy, { ...ENDLESS, steps: 300 })
  for (const client of busy) client.close()
  const stalled = await stall(edge, first)
  const [edgeBefore, containerBefore] = await settled(edge, container)
  stalled.push(...(await stall(edge, counted)))
  const [edgeAfter, containerAfter] = await settled(edge, container)
  const freshMs: number[] = []
  for (let i = 0; i < 20; i++) {
    const client = await StreamClient.connect(edge.port)
    freshMs.push((await client.stream({ steps: 1 })).firstEventMs)
    client.close()
  }
  for (const client of stalled) client.close()
  return {
    edgeBytes: (edgeAfter.rssBytes - edgeBefore.rssBytes) / counted,
    containerBytes: (containerAfter.rssBytes - containerBefore.rssBytes) / counted,
    edgeUsedBytes: (edgeAfter.usedBytes - edgeBefore.usedBytes) / counted,
    containerUsedBytes: (containerAfter.usedBytes - containerBefore.usedBytes) / counted,
    freshMs,
  }
}

async function stall(edge: ServerProcess, count: number): Promise<StreamClient[]> {
  const clients = await connectClients(edge, count)
  for (const client of clients) client.stall(ENDLESS)
  return clients
}

/** Memory of both, without garbage, once neither has anything left to do. */
async function settled(
  edge: ServerProcess,
  container: ServerProcess,
): Promise<[ProcessUsage, ProcessUsage]> {
  let cpuMs = 0
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, 300))
    const [atEdge, atContainer] = [await edge.usage(), await container.usage()]
    const usedMs = atEdge.cpuMs + atContainer.cpuMs - cpuMs
    cpuMs += usedMs
    if (usedMs >= 15) continue
    return [await edge.usage({ collect: true }), await container.usage({ collect: true })]
  }
}
