/** More than any schema or tool has, and little enough for everything that goes down step by step. */
export const MAX_JSON_DEPTH = 200

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Returns the position at which JSON is nested deeper than `maxDepth`, -1 if it is not. The text may be wrong otherwise. */
export function tooDeepAt(text: string, maxDepth = MAX_JSON_DEPTH): number {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) at = endOfString(text, at)
    // `[` and `{`, `]` and `}` differ in one bit from each other, and from nothing else that JSON has.
    else if ((char | 0x20) === 0x7b && ++depth > maxDepth) return at
    else if ((char | 0x20) === 0x7d) depth--
  }
  return -1
}

/** @returns the position of the quote that ends the string that begins at `start` */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) return at
    if (char === BACKSLASH) at++
  }
  return text.length
}
