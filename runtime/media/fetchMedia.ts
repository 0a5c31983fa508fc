import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import { isLocalName, isPublicAddress } from './publicAddress.ts'

export interface FetchedMedia {
  bytes: Buffer
  /** Of the answer, without its parameters; empty when it had none. */
  mimeType: string
}

export interface MediaFetcherOptions {
  /** Addresses of a host name. */
  resolve?: (host: string) => Promise<LookupAddress[]>
  /** Which addresses may be asked. */
  isAllowed?: (address: string) => boolean
  maxBytes?: number
  /** Of the whole fetch, redirects included; less than the time a caller waits for an answer. */
  timeoutMs?: number
}

const MAX_REDIRECTS = 3
const REDIRECTS = [301, 302, 303, 307, 308]

/** Why an address was not fetched, in words for whoever named it. */
export class MediaFetchError extends Error {}

export type FetchMedia = (url: string, signal: AbortSignal) => Promise<FetchedMedia>

/**
 * Makes the function that fetches what clients only name. Only public addresses are asked: a host name is resolved once, all
 * its addresses are checked, and the connection goes to one of these, so that a second answer of a name server changes
 * nothing. Each redirect is checked like the first address.
 * The function throws MediaFetchError, and the signal's reason when that aborts.
 */
export function createMediaFetcher({
  resolve = host => lookup(host, { all: true }),
  isAllowed = isPublicAddress,
  maxBytes = 64 * 2 ** 20,
  timeoutMs = 30_000,
}: MediaFetcherOptions = {}): FetchMedia {
  const addressesOf = async (url: URL): Promise<LookupAddress[]> => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (isLocalName(host)) throw forbidden()
    const family = isIP(host)
    const addresses =
      family > 0
        ? [{ address: host, family }]
        : await resolve(host).catch(() => {
            throw new MediaFetchError('its host is not known')
          })
    if (addresses.length === 0) throw new MediaFetchError('its host is not known')
    if (!addresses.every(({ address }) => isAllowed(address))) throw forbidden()
    return addresses
  }

  const fetchOnce = async (url: URL, signal: AbortSignal): Promise<FetchedMedia | URL> => {
    const addresses = await addressesOf(url)
    const agent = new Agent({ connect: { lookup: pinned(addresses) }, pipelining: 0 })
    try {
      const response = await agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        headers: { 'accept-encoding': 'identity', accept: '*/*' },
        signal,
      })
      const { location } = response.headers
      if (REDIRECTS.includes(response.statusCode) && location !== undefined) {
        return parseUrl(String(location), url)
      }
      return await readMedia(response, maxBytes)
    } finally {
      await agent.destroy()
    }
  }

  return async (address, callerSignal) => {
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([callerSignal, timeout])
    try {
      let url = parseUrl(address)
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const answer = await orAborted(fetchOnce(url, signal), signal)
        if (!(answer instanceof URL)) return answer
        url = answer
      }
      throw new MediaFetchError(`it redirects more than ${MAX_REDIRECTS} times`)
    } catch (cause) {
      callerSignal.throwIfAborted()
      if (timeout.aborted) throw new MediaFetchError(`it takes more than ${timeoutMs / 1000} s`)
      if (cause instanceof MediaFetchError) throw cause
      throw new MediaFetchError('its host does not answer', { cause })
    }
  }
}

/** Name servers know of no signals. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function parseUrl(address: string, base?: URL): URL {
  const url = URL.canParse(address, base) ? new URL(address, base) : undefined
  if (url === undefined) throw new MediaFetchError('it is not a URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new MediaFetchError('only http, https and data URLs are read')
  }
  if (url.username !== '' || url.password !== '') {
    throw new MediaFetchError('a URL with a user name or password is not read')
  }
  return url
}

async function readMedia(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<FetchedMedia> {
  if (statusCode < 200 || statusCode > 299) {
    throw new MediaFetchError(`its server answers with status ${statusCode}`)
  }
  const encoding = String(headers['content-encoding'] ?? 'identity')
  if (encoding !== 'identity') throw new MediaFetchError(`it comes encoded as ${encoding}`)
  const tooLarge = () => new MediaFetchError(`it has more than ${maxBytes} bytes`)
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let numBytes = 0
  for await (const chunk of body) {
    numBytes += chunk.length
    if (numBytes > maxBytes) throw tooLarge()
    chunks.push(chunk)
  }
  const [mimeType = ''] = String(headers['content-type'] ?? '').split(';')
  return { bytes: Buffer.concat(chunks), mimeType: mimeType.trim().toLowerCase() }
}

/** Gives the addresses that were checked, whatever the name would be resolved to now. */
function pinned(addresses: LookupAddress[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses
    if (options.all) callback(null, addresses)
    else callback(null, first?.address ?? '', first?.family)
  }
}

function forbidden(): MediaFetchError {
  return new MediaFetchError('its host is not on the public Internet')
}
