/**
 * GPT-2's reversible map of bytes to printable characters: byte-level vocabularies are written in it.
 * Printable Latin-1 bytes stand for themselves; the other 68 are numbered from U+0100.
 * Source: OpenAI GPT-2 `encoder.py`.
 */
export const byteLevelChars: readonly string[] = buildChars()

/** Code unit -> byte, -1 where a character is not of the alphabet; [512]. */
export const byteOfChar: Int16Array = buildInverse()

function buildChars(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    return String.fromCharCode(printable ? byte : next++)
  })
}

function buildInverse(): Int16Array {
  const inverse = new Int16Array(512).fill(-1)
  for (const [byte, char] of byteLevelChars.entries()) inverse[char.charCodeAt(0)] = byte
  return inverse
}

/** The bytes a byte-level token stands for, or undefined when it has a character outside the alphabet. */
export function byteLevelBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfChar[token.charCodeAt(i)] ?? -1
    if (byte < 0) return undefined
    bytes[i] = byte
  }
  return bytes
}
