import type { HttpOptions } from './httpOptions.ts'
import type { Log } from './log.ts'
import { isLoopback, urlHost } from './serverProcess.ts'

/** Says where the API is, and warns when it is open to everybody. */
export function announceApi(
  { host, apiKey, apiKeyFile, tlsCert }: HttpOptions,
  port: number,
  log: Log,
): void {
  const local = host === '0.0.0.0' ? 'localhost' : host === '::' ? '[::1]' : urlHost(host)
  const scheme = tlsCert === undefined ? 'http' : 'https'
  const origin = `${scheme}://${local}:${port}`
  log.info(`Server listening on ${scheme}://${urlHost(host)}:${port}`)
  log.info(`OpenAI-compatible API: ${origin}/v1`)
  log.info(`Anthropic-compatible API: ${origin}`)
  log.info(`Swagger UI docs: ${origin}/docs`)
  if (apiKey.length === 0 && apiKeyFile === undefined && !isLoopback(host)) {
    log.warn(
      `Anybody who can reach this machine can use the server: it is bound to ${host} without API keys. ` +
        'Add --api-key or --api-key-file, or --host 127.0.0.1 for this machine only.',
    )
  }
}
