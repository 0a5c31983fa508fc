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

/** The bytes that a byte-level token (its UTF-8) stands for, or undefined when a character is not of the alphabet. */
export function byteLevelBytes(token: Uint8Array): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length)
  const end = mapByteLevel(token, 0, token.length, bytes, 0)
  return end < 0 ? undefined : bytes.subarray(0, end)
}

/** Writes the bytes that text[start, end) stands for at out[outStart]; returns the end there, or -1. */
export function mapByteLevel(
  text: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outStart: number,
): number {
  let at = outStart
  for (let i = start; i < end; i++) {
    const lead = text[i] ?? 0
    let char = lead
    if (lead >= 0x80) {
      // The alphabet ends at U+0143: two bytes at most.
      i += 1
      char = (lead & 0xe0) === 0xc0 && i < end ? ((lead & 0x1f) << 6) | ((text[i] ?? 0) & 0x3f) : -1
    }
    const byte = byteOfChar[char] ?? -1
    if (byte < 0) return -1
    out[at++] = byte
  }
  return at
}
