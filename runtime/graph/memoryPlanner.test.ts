import { describe, expect, it } from 'vitest'
import { type Lifetime, planMemory } from './memoryPlanner.ts'

function overlapping(buffers: readonly Lifetime[], offsets: readonly number[]): boolean {
  return buffers.some((a, i) =>
    buffers.some((b, j) => {
      const [x, y] = [offsets[i] ?? 0, offsets[j] ?? 0]
      const together = a.first <= b.last && b.first <= a.last
      return i < j && together && x < y + b.width && y < x + a.width
    }),
  )
}

describe('planMemory', () => {
  it('reuses the space of dead buffers', () => {
    const buffers = [
      { width: 64, first: 0, last: 1 },
      { width: 64, first: 1, last: 2 },
      { width: 64, first: 2, last: 3 },
    ]
    expect(planMemory(buffers)).toEqual([0, 64, 0])
  })

  it('takes the tightest gap', () => {
    const buffers = [
      { width: 64, first: 0, last: 4 },
      { width: 16, first: 1, last: 9 },
      { width: 32, first: 2, last: 4 },
      { width: 16, first: 3, last: 9 },
      { width: 32, first: 5, last: 6 },
    ]
    const offsets = planMemory(buffers)
    expect(offsets[4]).toBe(offsets[2])
  })

  it('aligns every offset to a cache line', () => {
    const offsets = planMemory([
      { width: 5, first: 0, last: 2 },
      { width: 17, first: 0, last: 2 },
      { width: 3, first: 1, last: 2 },
    ])
    expect(offsets.every(offset => offset % 16 === 0)).toBe(true)
  })

  it('never lets two live buffers overlap (random lifetimes)', () => {
    let seed = 7
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n
    }
    for (let round = 0; round < 300; round++) {
      const buffers = Array.from({ length: 1 + random(40) }, () => {
        const first = random(60)
        return { width: 1 + random(300), first, last: first + random(12) }
      })
      const offsets = planMemory(buffers)
      expect(overlapping(buffers, offsets)).toBe(false)
    }
  })
})
