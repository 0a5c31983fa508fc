import type { CodePoints } from './expr.ts'

/** One way to write code points: a range of bytes for each byte of their UTF-8. */
export type ByteRanges = readonly (readonly [low: number, high: number])[]

/** Surrogates have no UTF-8. */
const surrogates = [0xd800, 0xdfff] as const
/** The last code point of each length. */
const lastOfLength = [0x7f, 0x7ff, 0xffff, 0x10ffff]

/**
 * Byte sequences that spell exactly the code points of a set.
 * Source: the splitting of ranges at UTF-8 boundaries as in RE2's and Rust's `utf8-ranges`.
 */
export function utf8Ranges(points: CodePoints): ByteRanges[] {
  const found: ByteRanges[] = []
  for (const [low, high] of points) {
    split(low, Math.min(high, surrogates[0] - 1), found)
    split(Math.max(low, surrogates[1] + 1), high, found)
  }
  return found
}

function split(low: number, high: number, found: ByteRanges[]): void {
  if (low > high) return
  for (const last of lastOfLength) {
    if (low <= last && last < high) {
      split(low, last, found)
      split(last + 1, high, found)
      return
    }
  }
  if (high > 0x7f) {
    // Where continuation bytes differ below a place, they must run through all their values.
    for (const bits of [6, 12, 18]) {
      const mask = (1 << bits) - 1
      if ((low & ~mask) === (high & ~mask)) break
      if ((low & mask) !== 0) {
        split(low, low | mask, found)
        split((low | mask) + 1, high, found)
        return
      }
      if ((high & mask) !== mask) {
        split(low, (high & ~mask) - 1, found)
        split(high & ~mask, high, found)
        return
      }
    }
  }
  const first = encodeUtf8(low)
  const last = encodeUtf8(high)
  found.push(first.map((byte, i) => [byte, last[i] ?? byte] as const))
}

/** UTF-8 of one code point that is no surrogate. */
export function encodeUtf8(point: number): number[] {
  if (point < 0x80) return [point]
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 0x3f)]
  if (point < 0x10000) {
    return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)]
  }
  return [
    0xf0 | (point >> 18),
    0x80 | ((point >> 12) & 0x3f),
    0x80 | ((point >> 6) & 0x3f),
    0x80 | (point & 0x3f),
  ]
}
