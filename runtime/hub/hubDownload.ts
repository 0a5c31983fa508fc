import { createWriteStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { hubAuthorization, hubEndpoint, hubOffline } from './hubEnvironment.ts'

/** A hub that does not even answer must not hold up the next source. */
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Downloads one file of a hub repository to `target`.
 * @param onBytes called as data arrives; total is 0 while unknown
 * @returns `target`
 * @throws Error naming the status or the network failure
 */
export async function downloadHubFile(options: {
  repo: string
  path: string
  target: string
  onBytes: (done: number, total: number) => void
}): Promise<string> {
  if (hubOffline()) throw new Error('offline mode is on (HF_HUB_OFFLINE)')
  const url = `${hubEndpoint()}/${options.repo}/resolve/main/${options.path}`
  const response = await request(url)
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`)
  const total = Number(response.headers.get('content-length') ?? 0)
  let done = 0
  const count = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length
      options.onBytes(done, total)
      next(null, chunk)
    },
  })
  await pipeline(Readable.fromWeb(response.body), count, createWriteStream(options.target))
  return options.target
}

async function request(url: string): Promise<Response> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), CONNECT_TIMEOUT_MS)
  try {
    return await fetch(url, { signal: abort.signal, headers: await hubAuthorization() })
  } catch (error) {
    if (abort.signal.aborted)
      throw new Error(`${url} did not answer within ${CONNECT_TIMEOUT_MS / 1000} s`)
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new Error(
      `${url} could not be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause: error,
      },
    )
  } finally {
    clearTimeout(timer)
  }
}
