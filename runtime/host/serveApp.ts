import { hostname } from 'node:os'
import { Registry } from 'prom-client'
import type { KeyEntry } from '../../edge/access/keyEntries.ts'
import { createApp } from '../../edge/app.ts'
import type { AppDeps } from '../../edge/deps.ts'
import type { Engine } from '../../edge/engine.ts'
import { randomId } from '../../edge/http/randomId.ts'
import type { ResponseStore } from '../../edge/responses/responseStore.ts'
import { type AccessLogFormat, createAccessLog } from './accessLog.ts'
import { registerEngineMetrics } from './engineMetrics.ts'
import { registerHttpMetrics } from './httpMetrics.ts'
import type { Tls } from './httpServers.ts'
import { type Listener, listen } from './listen.ts'
import { staticFile } from './staticFiles.ts'

export interface ServeAppOptions {
  engine: Engine
  host: string
  port: number
  /** Undefined: clear text. */
  tls: Tls | undefined
  apiKeys: string[]
  keyEntries: KeyEntry[]
  corsOrigins: string[]
  /** Names of this machine beside its own; `['*']`: any. */
  allowedHosts: string[]
  maxBodyBytes: number
  keepAliveMs: number
  strictOpenai: boolean
  responses: ResponseStore | 'off'
  metrics: boolean
  /** Undefined: no line for a request. */
  accessLog: { format: AccessLogFormat; health: boolean } | undefined
  requestIdHeader: boolean
  /** Failures a client only sees as a 500 or an error event. */
  onInternalError: (error: unknown) => void
}

/** Where what the app tells goes: errors to the log, requests to the access log and the metrics. */
function observers(
  options: ServeAppOptions,
): Pick<AppDeps, 'log' | 'logHealth' | 'measure' | 'metrics' | 'requestIdHeader'> {
  const { accessLog, engine, requestIdHeader } = options
  const registry = options.metrics ? new Registry() : undefined
  const http = registry && registerHttpMetrics(registry)
  const metrics = registry && registerEngineMetrics(registry, engine)
  const access = accessLog && createAccessLog(accessLog.format, line => process.stdout.write(line))
  return {
    log: entry => {
      if (entry.event === 'internal_error') options.onInternalError(entry.error)
      http?.log(entry)
      access?.(entry)
    },
    logHealth: accessLog?.health ?? false,
    requestIdHeader,
    ...(http && { measure: http.measure }),
    ...(metrics && { metrics }),
  }
}

/** The edge app on Node over an engine in the same process: this host's clock, randomness and listener. */
export function serveApp(options: ServeAppOptions): Promise<Listener> {
  const app = createApp({
    engine: options.engine,
    responses: options.responses,
    limits: { maxBodyBytes: options.maxBodyBytes },
    cors: { origins: options.corsOrigins },
    hosts: [options.host, hostname(), `${hostname()}.local`, ...options.allowedHosts],
    auth: { apiKeys: options.apiKeys, entries: options.keyEntries },
    assets: staticFile,
    clock: Date.now,
    newId: () => randomId(),
    keepAliveMs: options.keepAliveMs,
    strictOpenai: options.strictOpenai,
    ...observers(options),
  })
  const { host, port, tls } = options
  return listen(app.fetch, { host, port, callers: 'clients', ...(tls && { tls }) })
}
