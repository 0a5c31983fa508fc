import { createApp } from '../../edge/app.ts'
import type { LogEntry } from '../../edge/deps.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { listen } from '../../runtime/host/listen.ts'
import { appDefaults, type Deploy, type Scenario } from './deployment.ts'

/** A scripted engine behind a real listener on a free port. */
export async function listenScripted(scenario: Scenario = {}) {
  const engine = createScriptedEngine(scenario.engine)
  const log: LogEntry[] = []
  const app = createApp({
    ...appDefaults,
    ...scenario.app,
    engine: new DetachedJobs(engine),
    log: entry => log.push(entry),
  })
  const listener = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'clients' })
  return {
    engine,
    log,
    origin: `http://127.0.0.1:${listener.port}`,
    close: () => listener.close(0),
  }
}

/** Edge and engine in one Node server, talked to over TCP. */
export const deployOnNode: Deploy = async scenario => {
  const { origin, ...server } = await listenScripted(scenario)
  return { ...server, fetch: (path, init) => fetch(`${origin}${path}`, init) }
}
