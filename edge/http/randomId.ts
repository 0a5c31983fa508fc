const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Bytes from here up would favour the first letters of the alphabet. */
const FAIR_LIMIT = 256 - (256 % ALPHABET.length)

/** Returns `length` random letters and digits (5.95 bits each), from the platform's secure generator. */
export function randomId(length = 24): string {
  const letters: (string | undefined)[] = []
  while (letters.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2))) {
      if (byte < FAIR_LIMIT) letters.push(ALPHABET[byte % ALPHABET.length])
    }
  }
  // Joined, not added up: V8 would keep each step of a sum for as long as the id is used.
  return letters.slice(0, length).join('')
}
