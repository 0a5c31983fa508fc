import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { createApp } from '../../edge/app.ts'
import type { LogEntry } from '../../edge/deps.ts'
import { createScriptedEngine } from '../../edge/scriptedEngine.ts'
import { appDefaults, type Deploy, type Scenario } from './deployment.ts'

/** A scripted engine behind a real listener on a free port. */
export async function listenScripted(scenario: Scenario = {}) {
  const engine = createScriptedEngine(scenario.engine)
  const log: LogEntry[] = []
  const app = createApp({ ...appDefaults, ...scenario.app, engine, log: entry => log.push(entry) })
  const { promise, resolve } = Promise.withResolvers<AddressInfo>()
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, resolve)
  const { port } = await promise
  return {
    engine,
    log,
    origin: `http://127.0.0.1:${port}`,
    async close() {
      const closed = new Promise(resolve => server.close(resolve))
      if ('closeAllConnections' in server) server.closeAllConnections()
      await closed
    },
  }
}

/** Edge and engine in one Node server, talked to over TCP. */
export const deployOnNode: Deploy = async scenario => {
  const { origin, ...server } = await listenScripted(scenario)
  return { ...server, fetch: (path, init) => fetch(`${origin}${path}`, init) }
}
