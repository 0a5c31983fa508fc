import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { HubError, hubRequest, networkReason } from './hubRequest.ts'

/** A connection without data for this long is given up and taken up again. */
const IDLE_TIMEOUT_MS = 30_000
/** Connections in a row that bring nothing before the download fails. */
const MAX_FRUITLESS = 3
const RETRY_DELAY_MS = 500

export interface DownloadOptions {
  url: string
  /** Where the bytes go. Those already there are the beginning of the file: the download goes on behind them. */
  target: string
  size?: number
  /** The hub's etag: sha256 of the file (64 hex digits) or git's sha1 of the blob (40). Others are not checked. */
  etag?: string
  /** Bytes that are there; total is 0 while unknown. */
  onBytes?: (done: number, total: number) => void
}

/**
 * Downloads a file of the hub over as many connections as it takes, and checks its size and checksum.
 * @throws HubError when it cannot be had; Error when it is not the file it should be, and then `target` is gone
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const { target } = options
  const begun = await fileSize(target)
  let fruitless = 0
  for (;;) {
    const before = await fileSize(target)
    try {
      if (before === 0 || before !== options.size) await receive(options, before)
      break
    } catch (error) {
      if (!(error instanceof HubError && error.isTransient)) throw error
      const bytes = await fileSize(target)
      fruitless = bytes > before ? 0 : fruitless + 1
      // A hub that gave nothing at all is for the caller to judge, at once.
      if (bytes === begun || fruitless === MAX_FRUITLESS) throw error
      await delay(RETRY_DELAY_MS)
    }
  }
  const wrong = await mismatch(options)
  if (wrong === undefined) return
  await rm(target)
  // What lay there may have been the beginning of something else.
  if (begun > 0) return downloadFile(options)
  throw new Error(`${options.url}: ${wrong}`)
}

/** Appends what is missing behind byte `from`, or everything when the hub does not continue files. */
async function receive(options: DownloadOptions, from: number): Promise<void> {
  const { url, target, onBytes } = options
  const idle = new AbortController()
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {}
  const response = await hubRequest(url, { headers }, idle.signal)
  if (response.body === null) throw new HubError(`${url} answered without data`, 0)
  const isContinued = response.status === 206
  let done = isContinued ? from : 0
  const length = Number(response.headers.get('content-length') ?? 0)
  const total = length > 0 ? done + length : (options.size ?? 0)
  if (options.size !== undefined && total !== options.size) {
    await response.body.cancel()
    await rm(target, { force: true })
    throw new Error(`${url} has ${total} bytes, expected ${options.size}`)
  }
  const timer = setTimeout(() => idle.abort(), IDLE_TIMEOUT_MS)
  try {
    await pipeline(
      response.body,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          timer.refresh()
          done += chunk.length
          onBytes?.(done, total)
          yield chunk
        }
      },
      createWriteStream(target, { flags: isContinued ? 'a' : 'w' }),
    )
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw error // the disk, not the network
    const why = idle.signal.aborted
      ? `no data for ${IDLE_TIMEOUT_MS / 1000} s`
      : networkReason(error)
    throw new HubError(`the download of ${url} broke off: ${why}`, 0, '', { cause: error })
  } finally {
    clearTimeout(timer)
  }
  if (total > 0 && done < total) throw new HubError(`the download of ${url} broke off`, 0)
}

/** What is wrong with a complete file, if anything. */
async function mismatch({ target, size, etag }: DownloadOptions): Promise<string | undefined> {
  const found = await fileSize(target)
  if (size !== undefined && found !== size) return `got ${found} bytes, expected ${size}`
  const hash = etag === undefined ? undefined : etagHash(etag, found)
  if (hash === undefined) return undefined
  await pipeline(createReadStream(target), hash.with)
  const digest = hash.with.digest('hex')
  if (digest !== etag) return `got a file with ${hash.name} ${digest}, expected ${etag}`
  return undefined
}

function etagHash(etag: string, size: number): { name: string; with: Hash } | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { name: 'sha256', with: createHash('sha256') }
  if (!/^[0-9a-f]{40}$/.test(etag)) return undefined
  return { name: 'git hash', with: createHash('sha1').update(`blob ${size}\0`) }
}

/** 0 for a file that is not there. */
function fileSize(path: string): Promise<number> {
  return stat(path).then(
    found => found.size,
    () => 0,
  )
}
