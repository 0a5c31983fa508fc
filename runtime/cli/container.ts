import { Registry } from 'prom-client'
import { createContainerApp } from '../container/containerApp.ts'
import { DetachedJobs } from '../engine/detachedJobs.ts'
import { registerEngineMetrics } from '../host/engineMetrics.ts'
import { listen } from '../host/listen.ts'
import { createLog } from './log.ts'
import { type ModelServerOptions, runModelServer } from './modelServer.ts'
import { readSecretFile } from './secretFile.ts'
import { describeFailure, isLoopback, urlHost } from './serverProcess.ts'
import { readTls, type TlsOptions } from './tlsOptions.ts'

export interface ContainerOptions extends ModelServerOptions, TlsOptions {
  port: number
  host: string
  secretFile?: string
  maxBodyMb: number
}

/** `mistralrs container`: the engine for edges, over HTTP/2 and HTTP/1.1 on one port. */
export async function container(options: ContainerOptions): Promise<number> {
  const log = createLog(options.verbose > 0 ? 'debug' : 'info', process.stdout)
  const { host, secretFile } = options
  const tls = await readTls(options)
  const secret = secretFile === undefined ? undefined : await readSecretFile(secretFile)
  return runModelServer(
    options,
    log,
    registry => {
      const app = createContainerApp(new DetachedJobs(registry), {
        metrics: registerEngineMetrics(new Registry(), registry),
        limits: { maxBodyBytes: options.maxBodyMb * 2 ** 20 },
        onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
        ...(secret !== undefined && { secret }),
      })
      return listen(app.fetch, { host, port: options.port, callers: 'edges', ...(tls && { tls }) })
    },
    port => {
      log.info(`Container listening on ${tls ? 'https' : 'http'}://${urlHost(host)}:${port}`)
      if (secret === undefined && !isLoopback(host)) {
        log.warn(
          `Anybody who can reach this machine can use the engine: it is bound to ${host} without a secret. ` +
            'Add --secret-file, or --host 127.0.0.1 for this machine only.',
        )
      }
    },
  )
}
