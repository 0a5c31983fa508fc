import { serveApp } from '../host/serveApp.ts'
import { createLog, type Log } from './log.ts'
import { type ModelServerOptions, runModelServer } from './modelServer.ts'
import { describeFailure, isLoopback, keepAliveMs, urlHost } from './serverProcess.ts'

export interface ServeOptions extends ModelServerOptions {
  port: number
  host: string
  apiKey: string[]
  corsOrigin: string[]
  maxBodyMb: number
  strictOpenai?: boolean
}

/** `mistralrs serve`: the HTTP API and the model in one process. */
export async function serve(options: ServeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  return runModelServer(
    options,
    log,
    registry =>
      serveApp({
        engine: registry,
        host: options.host,
        port: options.port,
        apiKeys: options.apiKey,
        corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
        maxBodyBytes: options.maxBodyMb * 2 ** 20,
        strictOpenai: options.strictOpenai ?? false,
        keepAliveMs: keepAliveMs(log),
        onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
      }),
    port => announce(options, port, log),
  )
}

function announce(options: ServeOptions, realPort: number, log: Log): void {
  const { host } = options
  const shown = urlHost(host)
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
