import type { Context } from 'hono'
import type { JsonObject } from '../engine.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { MAX_JSON_DEPTH, tooDeepAt } from './jsonDepth.ts'
import { jsonErrorPosition } from './jsonErrorPosition.ts'
import { readBytes, SlowBody } from './readBytes.ts'
import type { AppEnv } from './requestScope.ts'

/** Looking for the mistake takes longer than parsing does, and nobody else is served meanwhile. */
const MAX_LOCATED = 2 ** 20
/** A word, number or escape that the limit cuts in two looks like a mistake. */
const CUT_TOKEN = 16

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the body as one JSON object, whatever its content type says.
 * @throws ApiError 415 for a body that is compressed, 413 as soon as more than `maxBytes` have arrived, 408 when they come too
 *   slowly, 400 for anything but a JSON object of bounded depth
 */
export async function readJsonObject(c: Context<AppEnv>, maxBytes: number): Promise<JsonObject> {
  const text = await readText(c, maxBytes)
  const deepAt = tooDeepAt(text)
  if (deepAt >= 0) {
    throw invalidRequest(
      undefined,
      `The request body is nested deeper than ${MAX_JSON_DEPTH} levels at position ${deepAt}.`,
      null,
    )
  }
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // The parser's own message is left out: it differs between engines and may lack the position.
    throw invalidRequest(
      undefined,
      `The request body is not valid JSON: ${describeMistake(text)}.`,
      null,
    )
  }
  if (isObject(body)) return body as JsonObject
  throw invalidRequest(undefined, 'The request body must be a JSON object.', null)
}

function describeMistake(text: string): string {
  if (text === '') return 'it is empty'
  const position = jsonErrorPosition(text.slice(0, MAX_LOCATED))
  if (position > MAX_LOCATED - CUT_TOKEN) return `a mistake beyond position ${position}`
  const found = position < text.length ? JSON.stringify(text[position]) : 'end of input'
  return `unexpected ${found} at position ${position}`
}

async function readText({ req, env }: Context<AppEnv>, maxBytes: number): Promise<string> {
  const encoding = req.raw.headers.get('content-encoding')
  if (encoding !== null && !/^(identity)?$/i.test(encoding)) throw compressed(encoding)
  const bytes = await readBytes(req.raw, maxBytes, env).catch((error: unknown) => {
    throw error instanceof SlowBody ? tooSlow(error) : error
  })
  if (bytes === undefined) throw tooLarge(maxBytes)
  try {
    return utf8.decode(bytes)
  } catch {
    throw invalidRequest(undefined, 'The request body is not valid JSON: it is not UTF-8.', null)
  }
}

/** Says with `accept-encoding` what is taken (RFC 9110, 15.5.16). */
function compressed(encoding: string): ApiError {
  return new ApiError({
    status: 415,
    type: 'invalid_request_error',
    code: 'unsupported_content_encoding',
    message: `The request body is encoded as '${encoding}'; send it as it is, without Content-Encoding.`,
    headers: { 'accept-encoding': 'identity' },
  })
}

function tooSlow({ message }: SlowBody): ApiError {
  return new ApiError({
    status: 408,
    type: 'invalid_request_error',
    code: 'request_timeout',
    message,
  })
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError({
    status: 413,
    type: 'invalid_request_error',
    code: 'request_too_large',
    message: `The request body is larger than the limit of ${maxBytes} bytes.`,
  })
}
