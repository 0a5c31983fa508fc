import { hostname } from 'node:os'
import { createApp } from '../../edge/app.ts'
import type { Engine } from '../../edge/engine.ts'
import type { KeyEntry } from '../../edge/keyEntries.ts'
import { randomId } from '../../edge/randomId.ts'
import type { ResponseStore } from '../../edge/responseStore.ts'
import type { Tls } from './httpServers.ts'
import { type Listener, listen } from './listen.ts'

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
  /** Failures a client only sees as a 500 or an error event. */
  onInternalError: (error: unknown) => void
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
    clock: Date.now,
    newId: () => randomId(),
    keepAliveMs: options.keepAliveMs,
    strictOpenai: options.strictOpenai,
    log: entry => {
      if (entry.event === 'internal_error') options.onInternalError(entry.error)
    },
  })
  const { host, port, tls } = options
  return listen(app.fetch, { host, port, callers: 'clients', ...(tls && { tls }) })
}
