import { serveEdge } from '../host/serveEdge.ts'
import { announceApi } from './announceApi.ts'
import { type HttpOptions, serverOptions } from './httpOptions.ts'
import { createLog } from './log.ts'
import { readOption, readSecretFile } from './secretFile.ts'
import { CLOSE_MS, DRAIN_MS, shutdownSignal } from './serverProcess.ts'

export interface EdgeOptions extends HttpOptions {
  upstream: string[]
  upstreamCa?: string
  secretFile?: string
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
    onUpstreamChange: (url, { usable, detail }) =>
      log[usable ? 'info' : 'warn'](`Container ${url}: ${detail}`),
    ...(await serverOptions(options, log)),
  })
  announceApi(options, server.port, log)
  await shutdown
  log.info('Shutting down: running requests may finish, new ones are refused.')
  await server.drain(DRAIN_MS)
  await server.close(CLOSE_MS)
  return 0
}
