import { EngineError, type JsonObject } from '../../edge/engine.ts'
import { MAX_JSON_DEPTH, tooDeepAt } from '../../edge/jsonDepth.ts'
import { parseJsonObject } from '../../edge/parseJsonObject.ts'

/**
 * Reads the body of a request as a job.
 * @throws EngineError `too_large` as soon as more than `maxBytes` have arrived, `invalid` for anything but a JSON object
 */
export async function readJob(request: Request, maxBytes: number): Promise<JsonObject> {
  if (Number(request.headers.get('content-length')) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Uint8Array[] = []
  let numBytes = 0
  for await (const chunk of request.body ?? []) {
    numBytes += chunk.byteLength
    if (numBytes > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  if (tooDeepAt(text) >= 0) {
    const message = `The job is nested deeper than ${MAX_JSON_DEPTH} levels.`
    throw new EngineError({ kind: 'invalid', message })
  }
  const job = parseJsonObject(text)
  if (job === undefined) {
    throw new EngineError({ kind: 'invalid', message: 'The job is not a JSON object.' })
  }
  return job as JsonObject
}

function tooLarge(maxBytes: number): EngineError {
  return new EngineError({
    kind: 'too_large',
    message: `The job is larger than ${maxBytes} bytes.`,
  })
}
