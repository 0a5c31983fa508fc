import type { Connection } from '../deps.ts'
import type { StreamSource } from '../streamSource.ts'

/** Answers 200 with a stream, which is made no faster than it is read. */
export function streamAnswer(
  source: StreamSource,
  headers: Record<string, string>,
  { sendStream }: Connection = {},
): Response {
  if (sendStream !== undefined) return sendStream(source, headers)
  // Nothing is made ahead of the reader: what waits for a client that has stopped reading is memory.
  const body = new ReadableStream<Uint8Array>(source, { highWaterMark: 0 })
  return new Response(body, { headers })
}
