import type { Socket } from 'node:net'
import { Agent, buildConnector, fetch as undiciFetch } from 'undici'
import type { LogEntry } from '../../edge/deps.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import type { WorkerEnv } from '../../edge/worker.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { listen } from '../../runtime/host/listen.ts'
import { copyWorkerAssets } from '../../scripts/workerAssets.ts'
import { startWorkerd } from '../../scripts/workerd.ts'
import { appDefaults, type Deploy, type Scenario } from './deployment.ts'

/** The Worker in workerd in front of a container with the scripted engine, HTTP/1.1 between them. */
export function deployOnWorkerd(code: string): Deploy {
  return async scenario => {
    const engine = createScriptedEngine(scenario.engine)
    const log: LogEntry[] = []
    const { fetch: answer } = createContainerApp(new DetachedJobs(engine), {
      secret: 'between us',
      limits: { maxBodyBytes: 1_000_000 },
      onInternalError: error => {
        throw error
      },
    })
    const container = await listen(answer, { host: '127.0.0.1', port: 0, callers: 'edges' })
    const worker = await startWorkerd({
      code,
      env: {
        UPSTREAMS: `http://127.0.0.1:${container.port}`,
        ENGINE_SECRET: 'between us',
        ...variables(scenario),
      },
      assets: copyWorkerAssets(),
      onLine: line => {
        if (line.startsWith('{"event"')) log.push(JSON.parse(line))
        else console.log(`workerd: ${line}`)
      },
    })
    return {
      engine,
      log,
      fetch: (path, init) =>
        resettingFetch(`http://127.0.0.1:${worker.port}${path}`, init as object) as never,
      async close() {
        await worker.close()
        await container.close(0)
      },
    }
  }
}

/**
 * Leaves with a reset, as a browser does by way of a front end that speaks HTTP/2: workerd by itself takes a mere end of
 * the client's side for one that still listens, until it next writes.
 */
const connect = buildConnector({})
const resetting = new Agent({
  connect: (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (socket === null) return callback(error, null)
      const destroy = socket.destroy.bind(socket)
      socket.destroy = () => {
        socket.destroy = destroy
        return (socket as Socket).resetAndDestroy()
      }
      callback(null, socket)
    }),
})
const resettingFetch = (url: string, init?: object) =>
  undiciFetch(url, { ...init, dispatcher: resetting })

function variables({ app }: Scenario): WorkerEnv {
  const { limits, cors, hosts, auth, keepAliveMs, strictOpenai } = {
    ...appDefaults,
    auth: undefined,
    ...app,
  }
  return {
    MAX_BODY_BYTES: String(limits.maxBodyBytes),
    CORS_ORIGINS: cors.origins.join(' '),
    // A variable can't be an empty list and set.
    ALLOWED_HOSTS: hosts.join(' ') || 'none',
    KEEP_ALIVE_INTERVAL: String(keepAliveMs),
    STRICT_OPENAI: String(strictOpenai),
    ...(auth?.apiKeys && { API_KEYS: auth.apiKeys.join(',') }),
    ...(auth?.entries && { API_KEYS_JSON: JSON.stringify(auth.entries) }),
  }
}
