import { Client, Pool } from 'undici'
import type { EngineFetch } from '../../edge/remote/engineFetch.ts'
import { mendClientSessions } from './clientSessions.ts'
import { copyUnreadChunks } from './copyUnreadChunks.ts'
import { dispatchFetch } from './dispatchFetch.ts'
import { finishSending } from './finishSending.ts'

finishSending()
copyUnreadChunks()
mendClientSessions()

export interface UpstreamOptions {
  /** PEM of the authority that signed the container's certificate, where the system does not know it. */
  ca?: string | Buffer
}

export interface Upstream {
  fetch: EngineFetch
  /** Ends what runs and closes the connections. */
  close(): Promise<void>
}

/**
 * Connections to a container, over HTTP/2 in clear text (by prior knowledge) or over TLS.
 * @param url its scheme, host and port are used
 */
export function connectUpstream(url: string, options: UpstreamOptions = {}): Upstream {
  const { origin, protocol } = new URL(url)
  const clientOptions: Client.Options = {
    connectTimeout: 3000,
    // A stream may be silent for as long as its job waits: the engine on this side has deadlines of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: true,
    ...(options.ca !== undefined && { connect: { ca: options.ca } }),
    // A stalled stream fills its own window and stays within it: the connection's has room for all of them. Not where the
    // types have it: undici 8.12 checks `h2Options.settings.initialWindowSize` and then takes 256 kB.
    initialWindowSize: 16 * 1024,
    h2Options: {
      useH2c: protocol === 'http:',
      maxConcurrentStreams: 1000,
      connectionWindowSize: 64 * 2 ** 20,
      // `mendClientSessions` sends its own.
      pingInterval: 0,
    },
  }
  const pool = new Pool(origin, {
    // Made as the streams need them, of which a container may get more than can be accepted jobs: a detached one has any
    // number of readers. Where there is no room for another stream, health checks and all new requests wait.
    connections: 16,
    // The pool's own connector does not know of HTTP/2 in clear text (undici 8.12), each client's does.
    factory: clientOrigin => new Client(clientOrigin, clientOptions),
  })
  return {
    fetch: (target, request) =>
      dispatchFetch(pool, target, request).catch(error => {
        throw explained(error)
      }),
    close: () => pool.destroy(),
  }
}

const unknownAuthority = 'its certificate is of no known authority: --upstream-ca names one'

/** Codes of mistakes in the command line that Node words as one of its own, or as lines of OpenSSL's sources. */
const explanations = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', unknownAuthority],
  ['SELF_SIGNED_CERT_IN_CHAIN', unknownAuthority],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', unknownAuthority],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', unknownAuthority],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS: http:// in place of https://'],
])

function explained(cause: { code?: string }): unknown {
  const message = explanations.get(cause.code ?? '')
  return message === undefined ? cause : new Error(message, { cause })
}
