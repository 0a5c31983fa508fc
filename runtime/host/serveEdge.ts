import type { EngineState } from '../../edge/remote/engineRoute.ts'
import { RemoteEngine } from '../../edge/remote/remoteEngine.ts'
import { RoutedEngine } from '../../edge/remote/routedEngine.ts'
import { connectUpstream } from './connectUpstream.ts'
import { DrainableEngine } from './drainableEngine.ts'
import type { Listener } from './listen.ts'
import { type ServeAppOptions, serveApp } from './serveApp.ts'

export interface ServeEdgeOptions extends Omit<ServeAppOptions, 'engine'> {
  /** Addresses of containers, which all serve the same models. */
  upstreams: string[]
  /** What the containers were given too. */
  secret?: string
  /** PEM of the authority that signed the containers' certificates. */
  ca?: string
  /** Told when a container is ready, or why it is not any more. */
  onUpstreamChange?: (url: string, state: EngineState) => void
  /** Default 1 s. */
  healthIntervalMs?: number
}

export interface EdgeServer extends Pick<Listener, 'port' | 'close'> {
  /** Refuses new jobs and waits for the accepted ones. */
  drain(deadlineMs: number): Promise<void>
}

const HEALTH_INTERVAL_MS = 1000

/** The edge app on Node in front of containers. */
export async function serveEdge(options: ServeEdgeOptions): Promise<EdgeServer> {
  const { upstreams, secret, ca } = options
  const connections = upstreams.map(url => ({
    url,
    ...connectUpstream(url, ca === undefined ? {} : { ca }),
  }))
  const routed = new RoutedEngine(
    connections.map(({ url, fetch }) => ({
      name: url,
      engine: new RemoteEngine({
        url,
        fetch,
        sharesAnswers: true,
        ...(secret !== undefined && { secret }),
      }),
    })),
    options.onUpstreamChange,
  )
  const engine = new DrainableEngine(routed)
  const listener = await serveApp({ ...options, engine })
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let checking: Promise<void> | undefined
  const check = () => {
    checking = routed.checkHealth().then(() => {
      if (!closed) timer = setTimeout(check, options.healthIntervalMs ?? HEALTH_INTERVAL_MS)
    })
  }
  check()
  return {
    port: listener.port,
    drain: deadlineMs => engine.drain(deadlineMs),
    async close(deadlineMs) {
      closed = true
      clearTimeout(timer)
      await listener.close(deadlineMs)
      // Cut off, it would tell of a container that cannot be reached.
      await checking
      await Promise.all(connections.map(({ close }) => close()))
    },
  }
}
