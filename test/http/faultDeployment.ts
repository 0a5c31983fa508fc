import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Agent, fetch as undiciFetch } from 'undici'
import { afterEach, expect } from 'vitest'
import { createApp } from '../../edge/app.ts'
import type { AppDeps } from '../../edge/deps.ts'
import { RemoteEngine, type RemoteEngineOptions } from '../../edge/remote/remoteEngine.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { connectUpstream } from '../../runtime/host/connectUpstream.ts'
import { type Listener, listen } from '../../runtime/host/listen.ts'
import { appDefaults } from './deployment.ts'

/** What a process of the system holds open for others. */
export interface Counts {
  connections: number
  requests: number
  /** Jobs of the engine, where there is one. */
  jobs: number
}

/** Undone after each test, last first; what must hold before anything is undone comes in `checks`. */
export const cleanups: (() => unknown)[] = []
const checks: (() => Promise<void>)[] = []

/** Every test of a file that imports this one ends by showing that it has left nothing behind. */
afterEach(async () => {
  try {
    for (const check of checks.splice(0)) await check()
  } finally {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  }
})

/** Fails when something is still held while the test's clients are gone and its servers still run. */
export function expectNothingLeft(name: string, counts: () => Promise<Counts>): void {
  const nothing = { connections: 0, requests: 0, jobs: 0 }
  checks.push(() => expect.poll(counts, { timeout: 5000, message: name }).toEqual(nothing))
}

/** A client whose connections go with its requests, so that what is left belongs to the server. */
function passingClient(port: number) {
  const dispatcher = new Agent({ pipelining: 0 })
  checks.unshift(() => dispatcher.destroy())
  return (path: string, init?: RequestInit) =>
    undiciFetch(`http://127.0.0.1:${port}${path}`, {
      ...(init as object),
      dispatcher,
    }) as unknown as Promise<Response>
}

/** The Node edge in this process, in front of whatever listens on `port`. */
export async function edge(
  port: number,
  options: Partial<RemoteEngineOptions> = {},
  deps: Partial<AppDeps> = {},
) {
  const url = `http://127.0.0.1:${port}`
  const upstream = connectUpstream(url)
  const engine = new RemoteEngine({ url, fetch: upstream.fetch, ...options })
  const app = createApp({ ...appDefaults, ...deps, engine })
  const listener = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'clients' })
  cleanups.push(() => listener.close(0), upstream.close)
  expectNothingLeft('edge', async () => ({ ...counts(listener), jobs: 0 }))
  return { port: listener.port, fetch: passingClient(listener.port) }
}

export function counts({ numConnections, numRequests }: Listener) {
  return { connections: numConnections, requests: numRequests }
}

export interface ContainerProcess {
  child: ChildProcess
  port: number
  counts(): Promise<Counts>
}

/** A container with the scripted engine in a process of its own. */
export async function scriptedContainer(secret?: string): Promise<ContainerProcess> {
  const script = fileURLToPath(new URL('scriptedContainer.ts', import.meta.url))
  const child = fork(script, {
    env: { ...process.env, ...(secret !== undefined && { TEST_SECRET: secret }) },
  })
  cleanups.push(() => child.kill('SIGKILL'))
  const message = async () => (await once(child, 'message'))[0]
  const { port } = (await message()) as { port: number }
  return {
    child,
    port,
    counts() {
      const answer = message()
      child.send('counts')
      return answer as Promise<Counts>
    },
  }
}

/** A server that breaks the rules as it is told. */
export async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

export const ndjson = (...values: unknown[]) =>
  values.map(value => `${JSON.stringify(value)}\n`).join('')

/** How an answer to a job begins. */
export const acceptedLine = ndjson({ jobId: 'j', model: scriptedModel.id, promptTokens: 1 })
export const textEvent = { v: 1, seq: 0, kind: 'text', index: 0, text: 'a ' }

/** Knows its model; what it does with a job is the test's. */
export async function badContainer(generate: (stream: ServerHttp2Stream, socket: Socket) => void) {
  const server = createHttp2Server()
  const open = new Set<ServerHttp2Stream>()
  let numJobs = 0
  let socket: Socket | undefined
  server.on('connection', opened => {
    socket = opened
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    stream.resume()
    if (headers[':path'] !== '/engine/generate') {
      stream.respond({ ':status': 200 })
      stream.end(JSON.stringify({ models: [scriptedModel] }))
      return
    }
    numJobs++
    open.add(stream)
    stream.on('close', () => open.delete(stream))
    if (socket !== undefined) generate(stream, socket)
  })
  const port = await listening(server)
  const numOpen = async () => ({ connections: 0, requests: open.size, jobs: 0 })
  expectNothingLeft('streams between edge and container', numOpen)
  return { port, numJobs: () => numJobs }
}
