import type { Command } from 'commander'
import type { Tls } from '../host/httpServers.ts'
import { nonEmpty } from './options.ts'
import { readOption } from './secretFile.ts'

export interface TlsOptions {
  tlsCert?: string
  tlsKey?: string
}

export function addTlsOptions(command: Command): Command {
  return command
    .option('--tls-cert <file>', 'certificate chain (PEM)', nonEmpty)
    .option('--tls-key <file>', 'its private key (PEM)', nonEmpty)
}

/** What the port needs to speak TLS; undefined for clear text. @throws Error naming the option that is missing or cannot be read */
export async function readTls({ tlsCert, tlsKey }: TlsOptions): Promise<Tls | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new Error('--tls-cert and --tls-key need each other')
  }
  return {
    cert: await readOption('--tls-cert', tlsCert),
    key: await readOption('--tls-key', tlsKey),
  }
}
