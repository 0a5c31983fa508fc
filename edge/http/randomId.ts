const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Bytes from here up would favour the first letters of the alphabet. */
const FAIR_LIMIT = 256 - (256 % ALPHABET.length)

const ascii = new TextDecoder()

/**
 * Returns `length` random letters and digits (5.95 bits each), from the platform's secure generator. In place, and counted by
 * hand: three are made for a request, of which an iterator and a string for each letter would be the most garbage.
 */
export function randomId(length = 24): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length * 2))
  let numLetters = 0
  for (let i = 0; i < bytes.length && numLetters < length; i++) {
    const byte = bytes[i] ?? FAIR_LIMIT
    if (byte < FAIR_LIMIT) bytes[numLetters++] = ALPHABET.charCodeAt(byte % ALPHABET.length)
  }
  const id = ascii.decode(bytes.subarray(0, numLetters))
  return numLetters === length ? id : id + randomId(length - numLetters)
}
