import type { LocalEngine } from '../engine/localEngine.ts'
import { ModelRegistry } from '../engine/modelRegistry.ts'
import { serveApp } from '../host/serveApp.ts'
import { requestedId } from '../hub/resolveModel.ts'
import { DEMO_NOTICE, findModel, loadEngine, modelRequest } from './loadEngine.ts'
import { createLog, type Log } from './log.ts'
import type { ModelOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { logThroughput } from './throughput.ts'

export interface ServeOptions extends ModelOptions {
  port: number
  host: string
  apiKey: string[]
  corsOrigin: string[]
  maxBodyMb: number
  servedModelName?: string
  strictOpenai?: boolean
}

/** How long running streams may go on after SIGTERM; orchestrators usually kill after 30 s. */
const DRAIN_MS = 25_000
/** Then the last bytes of answers have this long to leave. */
const CLOSE_MS = 1000
/** A terminal signals every process of a command, and npm and our own scripts pass on what they get: one signal, twice. */
const SAME_SIGNAL_MS = 100

/** `mistralrs serve`: binds at once, answers 503 while the model loads, drains on SIGTERM. */
export async function serve(options: ServeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const shutdown = shutdownSignal(log)
  const registry = new ModelRegistry()
  const server = await serveApp({
    engine: registry,
    host: options.host,
    port: options.port,
    apiKeys: options.apiKey,
    corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
    maxBodyBytes: options.maxBodyMb * 2 ** 20,
    strictOpenai: options.strictOpenai ?? false,
    keepAliveMs: keepAliveMs(log),
    onInternalError: error => log.error(`request failed: ${describe(error)}`),
  })
  log.debug(`bound to port ${server.port}, loading`)
  try {
    const engine = await Promise.race([load(options, registry, log), shutdown])
    if (engine === undefined) return 0
    announce(options, server.port, log)
    const stopLog = logThroughput(engine, log)
    await shutdown
    stopLog()
    log.info('Shutting down: running requests may finish, new ones are refused.')
    await registry.drain(DRAIN_MS)
    return 0
  } finally {
    await server.close(CLOSE_MS)
    await registry.dispose()
  }
}

/** Registers the model under its name before it loads, so that clients are told to come back. */
async function load(
  options: ServeOptions,
  registry: ModelRegistry,
  log: Log,
): Promise<LocalEngine> {
  const progress = createProgress(process.stderr, log.notice)
  const id = options.servedModelName ?? requestedId(modelRequest(options))
  let report = (_done: number, _total: number) => {}
  const loading = findModel(options, log, progress).then(model => {
    if (model.isDefault) log.info(DEMO_NOTICE)
    return loadEngine({ ...model, id }, options, log, progress, (done, total) =>
      report(done, total),
    )
  })
  report = registry.add({ id }, loading).progress
  try {
    return await loading
  } finally {
    progress.stop()
  }
}

function announce(options: ServeOptions, realPort: number, log: Log): void {
  const { host } = options
  const shown = host.includes(':') ? `[${host}]` : host
  const local = host === '0.0.0.0' ? 'localhost' : host === '::' ? '[::1]' : shown
  log.info(`Server listening on http://${shown}:${realPort}`)
  log.info(`OpenAI-compatible API: http://${local}:${realPort}/v1`)
  if (options.apiKey.length === 0 && !isLoopback(host)) {
    log.warn(
      `Anybody who can reach this machine can use the server: it is bound to ${host} without API keys. ` +
        'Add --api-key, or --host 127.0.0.1 for this machine only.',
    )
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function shutdownSignal(log: Log): Promise<undefined> {
  return new Promise(resolve => {
    let firstMs = Number.NaN
    const codes = { SIGINT: 130, SIGTERM: 143 } as const
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (performance.now() - firstMs < SAME_SIGNAL_MS) return
        if (!Number.isNaN(firstMs)) process.exit(codes[signal])
        firstMs = performance.now()
        log.debug(`got ${signal}`)
        resolve(undefined)
      })
    }
  })
}

function keepAliveMs(log: Log): number {
  const fallback = 10_000
  const text = process.env.KEEP_ALIVE_INTERVAL
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  log.warn(`KEEP_ALIVE_INTERVAL=${text} is not a number of milliseconds; using ${fallback}`)
  return fallback
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
