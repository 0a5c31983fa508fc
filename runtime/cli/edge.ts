import { serveEdge } from '../host/serveEdge.ts'
import { createLog } from './log.ts'
import { readOption, readSecretFile } from './secretFile.ts'
import {
  CLOSE_MS,
  DRAIN_MS,
  describeFailure,
  isLoopback,
  keepAliveMs,
  shutdownSignal,
  urlHost,
} from './serverProcess.ts'

export interface EdgeOptions {
  upstream: string[]
  upstreamCa?: string
  secretFile?: string
  port: number
  host: string
  apiKey: string[]
  corsOrigin: string[]
  maxBodyMb: number
  strictOpenai?: boolean
  verbose: number
}

/** `mistralrs edge`: the HTTP API without a model, in front of containers. */
export async function edge(options: EdgeOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const { host, secretFile, upstreamCa, upstream } = options
  const shutdown = shutdownSignal(log)
  const server = await serveEdge({
    upstreams: upstream,
    ...(secretFile !== undefined && { secret: await readSecretFile(secretFile) }),
    ...(upstreamCa !== undefined && { ca: await readOption('--upstream-ca', upstreamCa) }),
    host,
    port: options.port,
    apiKeys: options.apiKey,
    corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
    maxBodyBytes: options.maxBodyMb * 2 ** 20,
    strictOpenai: options.strictOpenai ?? false,
    keepAliveMs: keepAliveMs(log),
    onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
  })
  log.info(`Server listening on http://${urlHost(host)}:${server.port}, for ${upstream.join(', ')}`)
  if (options.apiKey.length === 0 && !isLoopback(host)) {
    log.warn(
      `Anybody who can reach this machine can use the server: it is bound to ${host} without API keys. ` +
        'Add --api-key, or --host 127.0.0.1 for this machine only.',
    )
  }
  await shutdown
  log.info('Shutting down: running requests may finish, new ones are refused.')
  await server.drain(DRAIN_MS)
  await server.close(CLOSE_MS)
  return 0
}
