const MARKER = 'mrs1.'
const utf8 = new TextEncoder()

/**
 * Reasoning as `encrypted_content`, for clients that keep their history themselves and send back only that. It is opaque
 * to them, not secret: base64 of the text behind a marker. The client has the reasoning in the clear anyway.
 */
export function sealReasoning(text: string): string {
  const binary = Array.from(utf8.encode(text), byte => String.fromCharCode(byte)).join('')
  return MARKER + btoa(binary)
}

/** @returns undefined for what another server, or nobody, has sealed */
export function unsealReasoning(sealed: string): string | undefined {
  if (!sealed.startsWith(MARKER)) return undefined
  try {
    const binary = atob(sealed.slice(MARKER.length))
    return new TextDecoder().decode(Uint8Array.from(binary, char => char.charCodeAt(0)))
  } catch {
    return undefined
  }
}
