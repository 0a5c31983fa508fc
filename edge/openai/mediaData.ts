import type { MediaPart, Modality } from '../engine.ts'
import { type ApiError, invalidRequest } from '../errors.ts'
import { toBase64 } from '../http/base64.ts'

type MediaData = Extract<MediaPart['source'], { kind: 'data' }>

/** As much as is read from a remote address. */
const MAX_MEDIA_BYTES = 64 * 2 ** 20

export function isDataUrl(url: string): boolean {
  return /^data:/i.test(url)
}

/**
 * Media from a data URL, or from bare base64 of the type `mimeType`.
 * @throws ApiError 400 `invalid_image` (or what it is) at `param`
 */
export function mediaData(
  value: string,
  mimeType: string,
  modality: Modality,
  param: string,
): MediaData {
  if (isDataUrl(value)) return decodeDataUrl(value, modality, param)
  return { kind: 'data', mimeType, base64: checkedBase64(value, modality, param) }
}

/** Source: RFC 2397. @throws ApiError 400 `invalid_image` (or what it is) at `param` */
export function decodeDataUrl(url: string, modality: Modality, param: string): MediaData {
  const comma = url.indexOf(',')
  if (comma < 0) throw undecodable(modality, param, 'the data URL has no comma')
  const [mimeType = '', ...attributes] = url.slice('data:'.length, comma).split(';')
  const data = url.slice(comma + 1)
  const isBase64 = attributes.at(-1)?.trim().toLowerCase() === 'base64'
  const base64 = isBase64
    ? checkedBase64(percentText(data, modality, param), modality, param)
    : percentEncoded(data, modality, param)
  return { kind: 'data', mimeType: mimeType.trim().toLowerCase() || 'text/plain', base64 }
}

/** Standard base64 with its padding; white space and the URL-safe alphabet are understood. */
function checkedBase64(text: string, modality: Modality, param: string): string {
  const padded = text.replace(/\s+/g, '').replace(/-/g, '+').replace(/_/g, '/')
  let end = padded.length
  // Not `/=+$/`, which looks at a long row of `=` in the middle again for each of them.
  while (padded.charAt(end - 1) === '=') end--
  const bare = padded.slice(0, end)
  if (bare === '') throw undecodable(modality, param, 'it is empty')
  if (/[^A-Za-z0-9+/]/.test(bare) || bare.length % 4 === 1) {
    throw undecodable(modality, param, 'it is not base64')
  }
  return bare.padEnd(Math.ceil(bare.length / 4) * 4, '=')
}

function percentText(text: string, modality: Modality, param: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw undecodable(modality, param, 'its percent encoding is broken', cause)
  }
}

const PERCENT = 0x25

/** Bytes may be any, so they are not decoded as the UTF-8 that `decodeURIComponent` wants. */
function percentEncoded(text: string, modality: Modality, param: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    throw undecodable(modality, param, 'its percent encoding is broken')
  }
  const encoded = new TextEncoder().encode(text)
  const bytes = new Uint8Array(encoded.length)
  let numBytes = 0
  for (let i = 0; i < encoded.length; i++) {
    const byte = encoded[i] ?? 0
    bytes[numBytes++] = byte === PERCENT ? hexByte(encoded, i + 1) : byte
    if (byte === PERCENT) i += 2
  }
  if (numBytes > MAX_MEDIA_BYTES) throw tooLarge(modality, param)
  return toBase64(bytes.subarray(0, numBytes))
}

function hexByte(encoded: Uint8Array, at: number): number {
  return hexDigit(encoded[at] ?? 0) * 16 + hexDigit(encoded[at + 1] ?? 0)
}

/** The value of a character that is a digit or a letter of either case. */
function hexDigit(code: number): number {
  return (code & 0xf) + (code > 0x39 ? 9 : 0)
}

function tooLarge(modality: Modality, param: string): ApiError {
  return undecodable(modality, param, `it has more than ${MAX_MEDIA_BYTES} bytes`)
}

function undecodable(modality: Modality, param: string, why: string, cause?: unknown): ApiError {
  const error = invalidRequest(
    param,
    `Invalid ${modality} in '${param}': ${why}.`,
    `invalid_${modality}`,
  )
  error.cause = cause
  return error
}
