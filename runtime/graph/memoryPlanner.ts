/** A buffer of `width` floats a row that is alive from op `first` to op `last`, both included. */
export interface Lifetime {
  width: number
  first: number
  last: number
}

/** Offsets are multiples of a cache line, which keeps every buffer aligned whatever the number of rows. */
const alignment = 16

/**
 * Places buffers in one arena so that no two alive at the same op overlap: in order of birth, each into the smallest gap
 * that holds it (linear scan, best fit).
 * @returns float offset of each buffer, in units of one row
 */
export function planMemory(buffers: readonly Lifetime[]): number[] {
  const offsets = new Array<number>(buffers.length).fill(0)
  const order = buffers.map((buffer, index) => ({ ...buffer, index, begin: 0, end: 0 }))
  order.sort((a, b) => a.first - b.first || b.width - a.width)
  let alive: typeof order = []
  for (const buffer of order) {
    alive = alive.filter(other => other.last >= buffer.first)
    const size = Math.ceil(buffer.width / alignment) * alignment
    buffer.begin = bestGap(alive, size)
    buffer.end = buffer.begin + size
    offsets[buffer.index] = buffer.begin
    alive.push(buffer)
    alive.sort((a, b) => a.begin - b.begin)
  }
  return offsets
}

/** Start of the tightest gap between `alive` (in order of place) for `size` floats, or the end of the last one. */
function bestGap(alive: readonly { begin: number; end: number }[], size: number): number {
  let cursor = 0
  let best: { begin: number; slack: number } | undefined
  for (const { begin, end } of alive) {
    const slack = begin - cursor - size
    if (slack >= 0 && (!best || slack < best.slack)) best = { begin: cursor, slack }
    cursor = Math.max(cursor, end)
  }
  return best?.begin ?? cursor
}
