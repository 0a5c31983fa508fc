const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Bytes from here up would favour the first letters of the alphabet. */
const FAIR_LIMIT = 256 - (256 % ALPHABET.length)

/** Returns `length` random letters and digits (5.95 bits each), from the platform's secure generator. */
export function randomId(length = 24): string {
  let id = ''
  while (id.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2))) {
      if (byte < FAIR_LIMIT && id.length < length) id += ALPHABET[byte % ALPHABET.length]
    }
  }
  return id
}
