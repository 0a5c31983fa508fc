import { createApp } from '../../edge/app.ts'
import type { LogEntry } from '../../edge/deps.ts'
import { RemoteEngine } from '../../edge/remote/remoteEngine.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { connectUpstream } from '../../runtime/host/connectUpstream.ts'
import { listen } from '../../runtime/host/listen.ts'
import { appDefaults, type Deploy } from './deployment.ts'
import type { Certificate } from './selfSigned.ts'

/** A Node edge in front of a container with the scripted engine, each with its own listener, HTTP/2 between them. */
export function deployWithHop(tls?: Certificate): Deploy {
  return async scenario => {
    const engine = createScriptedEngine(scenario.engine)
    const log: LogEntry[] = []
    const containerApp = createContainerApp(new DetachedJobs(engine), {
      secret: 'between us',
      limits: { maxBodyBytes: 1_000_000 },
      onInternalError: error => {
        throw error
      },
    })
    const container = await listen(containerApp.fetch, {
      callers: 'edges',
      host: '127.0.0.1',
      port: 0,
      ...(tls && { tls }),
    })
    const url = `${tls ? 'https' : 'http'}://127.0.0.1:${container.port}`
    const upstream = connectUpstream(url, tls && { ca: tls.cert })
    const app = createApp({
      ...appDefaults,
      ...scenario.app,
      engine: new RemoteEngine({ url, fetch: upstream.fetch, secret: 'between us' }),
      log: entry => log.push(entry),
    })
    const edge = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'clients' })
    return {
      engine,
      log,
      fetch: (path, init) => fetch(`http://127.0.0.1:${edge.port}${path}`, init),
      async close() {
        await edge.close(0)
        await upstream.close()
        await container.close(0)
      },
    }
  }
}
