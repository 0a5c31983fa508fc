/** As `Uint8Array.prototype.toBase64` does, which Node 24 does not have. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  // In pieces that fit on the stack.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  }
  return btoa(text)
}

/** As `Uint8Array.fromBase64` does. @throws DOMException for what is not base64 */
export function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}
