import { describe, expect, it } from 'vitest'
import { type KvLayer, pageBytes, planKvGroups } from './kvGroups.ts'

function layers(count: number, spec: KvLayer['spec'], kvHeads: number, headDim: number): KvLayer[] {
  return Array.from({ length: count }, (_, i) => ({ layer: i, spec, kvHeads, headDim }))
}

describe('planKvGroups', () => {
  it('puts equal layers into one group and numbers them within it', () => {
    const { groups, places } = planKvGroups([
      { layer: 0, spec: { kind: 'sliding', window: 8 }, kvHeads: 2, headDim: 16 },
      { layer: 1, spec: { kind: 'full' }, kvHeads: 2, headDim: 16 },
      { layer: 2, spec: { kind: 'sliding', window: 8 }, kvHeads: 2, headDim: 16 },
    ])
    expect(groups.map(group => [group.kind, group.window, group.layers])).toEqual([
      ['sliding', 8, 2],
      ['full', undefined, 1],
    ])
    expect(places.get(2)).toEqual({ group: 0, layer: 1 })
    expect(places.get(1)).toEqual({ group: 1, layer: 0 })
  })

  it('separates windows, head counts and head sizes', () => {
    const spec = { kind: 'sliding', window: 8 } as const
    const { groups } = planKvGroups([
      { layer: 0, spec, kvHeads: 2, headDim: 16 },
      { layer: 1, spec: { ...spec, window: 9 }, kvHeads: 2, headDim: 16 },
      { layer: 2, spec, kvHeads: 1, headDim: 16 },
      { layer: 3, spec, kvHeads: 2, headDim: 32 },
    ])
    expect(groups).toHaveLength(4)
  })

  it('gives smaller groups the largest power of two that fits one page (Gemma 4 E4B)', () => {
    const { groups } = planKvGroups([
      ...layers(20, { kind: 'sliding', window: 512 }, 2, 256),
      ...layers(4, { kind: 'full' }, 2, 512),
    ])
    expect(groups.map(group => group.pageTokens)).toEqual([32, 64])
    // 20 layers x 2 heads x 256 x keys and values x 32 tokens x 2 bytes
    expect(pageBytes(groups, 'f16')).toBe(20 * 2 * 256 * 2 * 32 * 2)
  })

  it('takes any power of two from 16 as base', () => {
    const full = layers(1, { kind: 'full' }, 1, 64)
    expect(planKvGroups(full, 16).groups[0]?.pageTokens).toBe(16)
    expect(() => planKvGroups(full, 8)).toThrow(RangeError)
    expect(() => planKvGroups(full, 48)).toThrow(RangeError)
  })

  it('keeps every page within the page size and over half full (random models)', () => {
    let seed = 3
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n
    }
    for (let round = 0; round < 200; round++) {
      const { groups } = planKvGroups(
        Array.from({ length: 1 + random(30) }, (_, layer) => ({
          layer,
          spec: random(2) ? { kind: 'full' } : { kind: 'sliding', window: 16 << random(2) },
          kvHeads: 1 + random(3),
          headDim: 2 + 2 * random(40),
        })),
      )
      const bytes = pageBytes(groups, 'f32')
      expect(bytes % 64).toBe(0)
      for (const group of groups) {
        const used = 8 * group.layers * group.kvHeads * group.headDim * group.pageTokens
        expect(used).toBeLessThanOrEqual(bytes)
        expect(2 * used).toBeGreaterThan(bytes - 64)
        expect(Math.log2(group.pageTokens) % 1).toBe(0)
      }
    }
  })
})
