import { DetachedJobs } from '../engine/detachedJobs.ts'
import { serveApp } from '../host/serveApp.ts'
import { createLog } from './log.ts'
import { type ModelServerOptions, runModelServer } from './modelServer.ts'
import { announceApi, describeFailure, keepAliveMs } from './serverProcess.ts'
import { readTls, type TlsOptions } from './tlsOptions.ts'

export interface ServeOptions extends ModelServerOptions, TlsOptions {
  port: number
  host: string
  apiKey: string[]
  corsOrigin: string[]
  allowedHost: string[]
  maxBodyMb: number
  strictOpenai?: boolean
}

/** `mistralrs serve`: the HTTP API and the model in one process. */
export async function serve(options: ServeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const tls = await readTls(options)
  return runModelServer(
    options,
    log,
    registry =>
      serveApp({
        engine: new DetachedJobs(registry),
        host: options.host,
        port: options.port,
        tls,
        apiKeys: options.apiKey,
        corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
        allowedHosts: options.allowedHost,
        maxBodyBytes: options.maxBodyMb * 2 ** 20,
        strictOpenai: options.strictOpenai ?? false,
        keepAliveMs: keepAliveMs(log),
        onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
      }),
    port => announceApi(options, port, log),
  )
}
