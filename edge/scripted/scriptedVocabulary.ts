/** Ids below this are the bytes themselves, so every text has tokens and every list of ids a text. */
const NUM_BYTES = 256
export const END_TOKEN = NUM_BYTES
const FIRST_WORD = END_TOKEN + 1

const words = (
  'the of and to in is that it was for on are as with at this have from or had by not but what all were when we ' +
  'there can an your which their said if do will each about how up out them then she many some so these would other ' +
  'into has more her two like him see time could no make than first been its who now people my made over did down ' +
  'only way find use may water long little very after words called just where most know'
)
  .split(' ')
  .map(word => ` ${word}`)

const idOfWord = new Map(words.map((word, i) => [word, FIRST_WORD + i]))
const utf8 = new TextEncoder()
const bytesOfWord = words.map(word => [...utf8.encode(word)])

export const SCRIPTED_VOCAB_SIZE = FIRST_WORD + words.length

/** Splits text into known words and, for everything else, bytes. */
export function scriptedTokens(text: string): number[] {
  return (text.match(/ ?[^\s]+|\s/g) ?? []).flatMap(
    piece => idOfWord.get(piece) ?? [...utf8.encode(piece)],
  )
}

/** Raw bytes of one token; none for the end token. */
export function scriptedBytes(id: number): number[] {
  return id < NUM_BYTES ? [id] : (bytesOfWord[id - FIRST_WORD] ?? [])
}

export function scriptedText(ids: number[]): string {
  return new TextDecoder().decode(Uint8Array.from(ids.flatMap(scriptedBytes)))
}

/** A 32-bit hash that depends on all its parts. Source: FNV-1a. */
export function scriptedHash(...parts: (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const byte of utf8.encode(JSON.stringify(parts))) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return hash
}

/** An endless row of words that depends on nothing but `start`. */
export function* scriptedWords(start: number): Generator<number> {
  // Source: mulberry32, a small generator whose low bits are as good as its high ones.
  for (let state = start; ; ) {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    yield FIRST_WORD + (((mixed ^ (mixed >>> 14)) >>> 0) % words.length)
  }
}
