/**
 * Cuts a stream of text at the first stop string, whatever pieces the text comes in: the one that ends first, of several
 * that end together the longest. Text that could still become a stop string is held back.
 */
export class StopMatcher {
  readonly #patterns: Pattern[]
  #held = ''

  /** @param stops non-empty strings */
  constructor(stops: readonly string[]) {
    this.#patterns = stops.map(stop => ({ stop, fallback: failureTable(stop), matched: 0 }))
  }

  /** @returns text that is certainly not part of a stop string, and the stop string that ended the stream, if one did */
  push(text: string): { text: string; stop?: string } {
    if (this.#patterns.length === 0) return { text }
    const all = this.#held + text
    for (let i = this.#held.length; i < all.length; i++) {
      let found: string | undefined
      for (const pattern of this.#patterns) {
        if (!advance(pattern, all.charCodeAt(i))) continue
        if (found === undefined || pattern.stop.length > found.length) found = pattern.stop
      }
      if (found !== undefined) {
        this.#held = ''
        return { text: all.slice(0, i + 1 - found.length), stop: found }
      }
    }
    let hold = 0
    for (const pattern of this.#patterns) hold = Math.max(hold, pattern.matched)
    this.#held = all.slice(all.length - hold)
    return { text: all.slice(0, all.length - hold) }
  }

  /** Begins anew. @returns what was held back, when the stream ended without a stop string */
  flush(): string {
    const text = this.#held
    this.#held = ''
    for (const pattern of this.#patterns) pattern.matched = 0
    return text
  }
}

interface Pattern {
  stop: string
  fallback: Uint32Array
  /** Length of the longest prefix of `stop` that the stream ends with. */
  matched: number
}

/** Source: Knuth, Morris, Pratt 1977. */
function advance(pattern: Pattern, unit: number): boolean {
  const { stop, fallback } = pattern
  let n = pattern.matched
  while (n > 0 && stop.charCodeAt(n) !== unit) n = fallback[n - 1] ?? 0
  if (stop.charCodeAt(n) === unit) n++
  pattern.matched = n
  return n === stop.length
}

/** [i] = length of the longest proper prefix of stop[0..i] that is also its suffix. */
function failureTable(stop: string): Uint32Array {
  const table = new Uint32Array(stop.length)
  for (let i = 1, n = 0; i < stop.length; i++) {
    while (n > 0 && stop.charCodeAt(i) !== stop.charCodeAt(n)) n = table[n - 1] ?? 0
    if (stop.charCodeAt(i) === stop.charCodeAt(n)) n++
    table[i] = n
  }
  return table
}
