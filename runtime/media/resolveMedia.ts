import { EngineError, type GenerateJob, type MediaPart } from '../../edge/engine.ts'
import { type FetchMedia, MediaFetchError } from './fetchMedia.ts'
import { mediaParts } from './mediaParts.ts'

/** What a single job may make this machine fetch. */
const MAX_REMOTE_PARTS = 64
const MAX_REMOTE_BYTES = 256 * 2 ** 20

/**
 * Fetches the media that a job only names, one after the other: the result holds data alone.
 * @throws EngineError `unreachable_media` naming the part
 */
export async function resolveMedia(
  job: GenerateJob,
  fetchMedia: FetchMedia,
  signal: AbortSignal,
): Promise<GenerateJob> {
  const remote = mediaParts(job).flatMap(({ part, param }) =>
    part.source.kind === 'url' ? { part, param, url: part.source.url } : [],
  )
  if (remote.length === 0) return job
  const fetched = new Map<MediaPart, MediaPart>()
  const known = new Map<string, MediaPart['source']>()
  let numBytes = 0
  for (const { part, param, url } of remote) {
    if (fetched.size >= MAX_REMOTE_PARTS) {
      throw unreachable(param, `A request may name ${MAX_REMOTE_PARTS} remote media at most.`)
    }
    const source = known.get(url) ?? (await fetchPart(url, param, fetchMedia, signal))
    known.set(url, source)
    if (source.kind === 'data') numBytes += source.base64.length * 0.75
    if (numBytes > MAX_REMOTE_BYTES) {
      throw unreachable(
        param,
        `Remote media of a request have more than ${MAX_REMOTE_BYTES} bytes.`,
      )
    }
    fetched.set(part, { ...part, source })
  }
  return withParts(job, fetched)
}

async function fetchPart(
  url: string,
  param: string,
  fetchMedia: FetchMedia,
  signal: AbortSignal,
): Promise<MediaPart['source']> {
  try {
    const { bytes, mimeType } = await fetchMedia(url, signal)
    return { kind: 'data', mimeType, base64: bytes.toString('base64') }
  } catch (cause) {
    if (!(cause instanceof MediaFetchError)) throw cause
    throw unreachable(param, `'${url.slice(0, 200)}' cannot be fetched: ${cause.message}.`, cause)
  }
}

function withParts(job: GenerateJob, fetched: ReadonlyMap<MediaPart, MediaPart>): GenerateJob {
  const { prompt } = job
  if (prompt.kind !== 'chat') return job
  const messages = prompt.messages.map(message =>
    Array.isArray(message.content)
      ? {
          ...message,
          content: message.content.map(part =>
            part.type === 'text' ? part : (fetched.get(part) ?? part),
          ),
        }
      : message,
  )
  return { ...job, prompt: { ...prompt, messages } }
}

function unreachable(param: string, message: string, cause?: unknown): EngineError {
  return new EngineError({ kind: 'unreachable_media', message, param }, { cause })
}
