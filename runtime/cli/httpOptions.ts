import type { AccessLogFormat } from '../host/accessLog.ts'
import { readKeyFile } from '../host/keyFile.ts'
import { openResponseStore } from '../host/openResponseStore.ts'
import type { ServeAppOptions } from '../host/serveApp.ts'
import type { Log } from './log.ts'
import { describeFailure, keepAliveMs } from './serverProcess.ts'
import { readTls, type TlsOptions } from './tlsOptions.ts'

/** Options of every command that serves clients. */
export interface HttpOptions extends TlsOptions {
  port: number
  host: string
  apiKey: string[]
  apiKeyFile?: string
  corsOrigin: string[]
  allowedHost: string[]
  maxBodyMb: number
  strictOpenai?: boolean
  responseStore?: string
  disableMetrics?: boolean
  disableAccessLog?: boolean
  accessLogFormat: AccessLogFormat
  accessLogHealth?: boolean
  disableRequestIdHeader?: boolean
}

/** What they mean to the server, files read. @throws Error naming the option and what is wrong with its file */
export async function serverOptions(
  options: HttpOptions,
  log: Log,
): Promise<Omit<ServeAppOptions, 'engine'>> {
  const { apiKeyFile } = options
  return {
    host: options.host,
    port: options.port,
    tls: await readTls(options),
    apiKeys: options.apiKey,
    keyEntries: apiKeyFile === undefined ? [] : await readKeyFile(apiKeyFile),
    corsOrigins: options.corsOrigin.length > 0 ? options.corsOrigin : ['*'],
    allowedHosts: options.allowedHost,
    maxBodyBytes: options.maxBodyMb * 2 ** 20,
    strictOpenai: options.strictOpenai ?? false,
    responses: await openResponseStore(options.responseStore, message => log.warn(message)),
    keepAliveMs: keepAliveMs(log),
    metrics: !options.disableMetrics,
    accessLog: options.disableAccessLog
      ? undefined
      : { format: options.accessLogFormat, health: options.accessLogHealth ?? false },
    requestIdHeader: !options.disableRequestIdHeader,
    onInternalError: error => log.error(`request failed: ${describeFailure(error)}`),
  }
}
