/** Small: a piece that waits for a client that does not read keeps its whole block. */
const BLOCK_BYTES = 4096

/** UTF-8 takes no more for a unit of a string. */
const MAX_BYTES_PER_UNIT = 3

const utf8 = new TextEncoder()
let block = new Uint8Array(BLOCK_BYTES)
let numUsed = 0

/**
 * UTF-8 of a text, in a block that it shares with other small texts: 0.3 us rather than the 1.4 us of `TextEncoder.encode`
 * for one event (Node 26), most of which is a buffer of its own. Whoever reads it may not transfer its buffer.
 */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  const maxBytes = MAX_BYTES_PER_UNIT * text.length
  if (maxBytes > BLOCK_BYTES) return utf8.encode(text)
  if (numUsed + maxBytes > BLOCK_BYTES) {
    block = new Uint8Array(BLOCK_BYTES)
    numUsed = 0
  }
  const begin = numUsed
  numUsed += utf8.encodeInto(text, block.subarray(begin)).written
  return block.subarray(begin, numUsed)
}
