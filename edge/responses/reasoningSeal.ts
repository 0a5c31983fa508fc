import { fromBase64, toBase64 } from '../http/base64.ts'

const MARKER = 'mrs1.'
const utf8 = new TextEncoder()

/**
 * Reasoning as `encrypted_content`, for clients that keep their history themselves and send back only that. It is opaque
 * to them, not secret: base64 of the text behind a marker. The client has the reasoning in the clear anyway.
 */
export function sealReasoning(text: string): string {
  return MARKER + toBase64(utf8.encode(text))
}

/** @returns undefined for what another server, or nobody, has sealed */
export function unsealReasoning(sealed: string): string | undefined {
  if (!sealed.startsWith(MARKER)) return undefined
  try {
    return new TextDecoder().decode(fromBase64(sealed.slice(MARKER.length)))
  } catch {
    return undefined
  }
}
