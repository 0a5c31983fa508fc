import type { Connection } from '../deps.ts'
import { concatBytes } from './concatBytes.ts'

/** Nobody waits for the body any longer; the message is for the client. */
export class SlowBody extends Error {}

/**
 * The whole body of a request, or undefined as soon as it is known to be longer than `maxBytes`; the rest is then left unread.
 * A body that tells its length is asked for in one piece: hosts have less to set up for that than for a stream (in Node
 * 3 kB for as long as the request lives), and HTTP lets no body be longer than it says.
 * @throws SlowBody when the connection tells of one
 */
export function readBytes(
  request: Request,
  maxBytes: number,
  { tooSlow }: Connection = {},
): Promise<Uint8Array | undefined> {
  const reading = readAll(request, maxBytes)
  if (tooSlow === undefined) return reading
  // The body may come after all: what it asks for must not begin then.
  return Promise.race([reading, tooSlow.then(giveUp)])
}

function giveUp(message: string): never {
  throw new SlowBody(message)
}

async function readAll(request: Request, maxBytes: number): Promise<Uint8Array | undefined> {
  const declared = request.headers.get('content-length')
  if (declared !== null) {
    if (Number(declared) > maxBytes) return undefined
    const bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.length > maxBytes ? undefined : bytes
  }
  if (request.body === null) return new Uint8Array()
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  const chunks: Uint8Array[] = []
  for (let numBytes = 0; ; ) {
    const { done, value } = await reader.read()
    if (done) return concatBytes(chunks)
    chunks.push(value)
    numBytes += value.byteLength
    if (numBytes > maxBytes) {
      // Waiting for the sender here would only delay the answer.
      reader.cancel().catch(() => {})
      return undefined
    }
  }
}
