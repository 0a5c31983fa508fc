import { serveEdge } from '../host/serveEdge.ts'
import { createLog } from './log.ts'
import { readOption, readSecretFile } from './secretFile.ts'
import {
  announceApi,
  CLOSE_MS,
  DRAIN_MS,
  describeFailure,
  keepAliveMs,
  shutdownSignal,
} from './serverProcess.ts'
import { readTls, type TlsOptions } from './tlsOptions.ts'

export interface EdgeOptions extends TlsOptions {
  upstream: string[]
  upstreamCa?: string
  secretFile?: string
  port: number
  host: string
  apiKey: string[]
  corsOrigin: string[]
  allowedHost: string[]
  maxBodyMb: number
  strictOpenai?: boolean
  verbose: number
}

/** `mistralrs edge`: the HTTP API without a model, in front of containers. */
export async function edge(options: EdgeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const { secretFile, upstreamCa, upstream } = options
  const shutdown = shutdownSignal(log)
  const server = await serveEdge({
    upstreams: upstream,
    ...(secretFile !== undefined && { secret: await readSecretFile(secretFile) }),
    ...(upstreamCa !== undefined && { ca: await readOption('--upstream-ca', upstreamCa) }),
    host: options.host,
    port: options.port,
    tls: await readTls(options),
    apiKeys: options.apiKey,
    corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
    allowedHosts: options.allowedHost,
    maxBodyBytes: options.maxBodyMb * 2 ** 20,
    strictOpenai: options.strictOpenai ?? false,
    keepAliveMs: keepAliveMs(log),
    onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
  })
  log.info(`Containers: ${upstream.join(', ')}`)
  announceApi(options, server.port, log)
  await shutdown
  log.info('Shutting down: running requests may finish, new ones are refused.')
  await server.drain(DRAIN_MS)
  await server.close(CLOSE_MS)
  return 0
}
