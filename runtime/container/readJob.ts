import type { Connection } from '../../edge/deps.ts'
import { EngineError, type JsonObject } from '../../edge/engine.ts'
import { MAX_JSON_DEPTH, tooDeepAt } from '../../edge/http/jsonDepth.ts'
import { readBytes } from '../../edge/http/readBytes.ts'
import { parseJsonObject } from '../../edge/jsonObject.ts'

/**
 * Reads the body of a request as a job.
 * @throws EngineError `too_large` as soon as more than `maxBytes` have arrived, `invalid` for anything but a JSON object;
 *   SlowBody
 */
export async function readJob(
  request: Request,
  maxBytes: number,
  connection: Connection,
): Promise<JsonObject> {
  const bytes = await readBytes(request, maxBytes, connection)
  if (bytes === undefined) throw tooLarge(maxBytes)
  const text = new TextDecoder().decode(bytes)
  if (tooDeepAt(text) >= 0) {
    const message = `The job is nested deeper than ${MAX_JSON_DEPTH} levels.`
    throw new EngineError({ kind: 'invalid', message })
  }
  const job = parseJsonObject(text)
  if (job === undefined) {
    throw new EngineError({ kind: 'invalid', message: 'The job is not a JSON object.' })
  }
  return job
}

function tooLarge(maxBytes: number): EngineError {
  return new EngineError({
    kind: 'too_large',
    message: `The job is larger than ${maxBytes} bytes.`,
  })
}
