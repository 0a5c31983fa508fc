import { describe, expect, it } from 'vitest'
import { GraphBuilder, type Tensor } from './graphBuilder.ts'
import { full } from './kvGroups.ts'
import { lower } from './lower.ts'
import type { Plan } from './plan.ts'
import { fuse } from './rewrites.ts'
import { PlanError, validatePlan } from './validatePlan.ts'

const eps = { eps: 1e-6 }
const rope = { dim: 8, factor: 1, invFreq: Float32Array.of(1, 0.5, 0.25, 0.125) }

function arenaWidth(plan: Plan): number {
  return Math.max(...plan.buffers.filter(b => b.rows === 'T').map(b => b.at + b.width))
}

describe('lower', () => {
  it('keeps the residual stream in one buffer', () => {
    const g = new GraphBuilder()
    let h = g.embed('e', 32, 16)
    for (let i = 0; i < 3; i++) {
      const up = g.linear(g.rmsNorm(h, `n${i}`, eps), `up${i}`, 32)
      h = g.add(h, g.linear(up, `down${i}`, 16))
    }
    g.graph.result = g.linear(g.selectRows(h), 'out', 32).node
    fuse(g.graph)
    const plan = lower(g.graph, 32)
    validatePlan(plan)
    const adds = plan.ops.filter(op => op.op === 'linear' && op.residual)
    expect(adds.map(op => op.op === 'linear' && op.out.buffer)).toEqual([0, 0, 0])
    expect(arenaWidth(plan)).toBe(16 + 32)
  })

  it('does not overwrite a tensor, or a part of it, that is read later', () => {
    const g = new GraphBuilder()
    const h = g.embed('e', 32, 16)
    const left = g.slice(h, 0, 8)
    const capped = g.softcap(left, 5)
    const sum = g.add(capped, g.slice(h, 0, 8))
    g.graph.result = g.selectRows(sum).node
    const plan = lower(g.graph, 8)
    validatePlan(plan)
    const softcap = plan.ops.find(op => op.op === 'softcap')
    expect(softcap?.op === 'softcap' && softcap.in.buffer !== softcap.out.buffer).toBe(true)
  })

  it('adds in place over whichever operand dies', () => {
    const g = new GraphBuilder()
    const a = g.embed('a', 32, 16)
    const b = g.embed('b', 32, 16)
    const sum = g.add(a, b)
    g.graph.result = g.selectRows(g.add(sum, a)).node
    const plan = lower(g.graph, 16)
    validatePlan(plan)
    const [first] = plan.ops.filter(op => op.op === 'add')
    expect(first?.op === 'add' && [first.a.buffer, first.b.buffer, first.out.buffer]).toEqual([
      1, 0, 1,
    ])
  })

  it('drops what nothing reads', () => {
    const g = new GraphBuilder()
    const h = g.embed('e', 32, 16)
    g.linear(h, 'unused', 64)
    g.graph.result = g.selectRows(h).node
    const plan = lower(g.graph, 16)
    expect(plan.weights.map(weight => weight.name)).toEqual(['e.weight'])
  })

  it('wants logits of the right shape', () => {
    const g = new GraphBuilder()
    g.graph.result = g.embed('e', 32, 16).node
    expect(() => lower(g.graph, 16)).toThrow(/logits are \[T, 16\]/)
  })

  it('makes valid plans of random graphs, fused and not, in less memory than one buffer a node', () => {
    let seed = 99
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n
    }
    for (let round = 0; round < 150; round++) {
      const build = () => {
        const g = new GraphBuilder()
        const pool: Tensor[] = [g.embed('e', 32, 16), g.embed('f', 32, 16)]
        const pick = () => pool[random(pool.length)] ?? g.embed('e', 32, 16)
        for (let i = 0; i < 12; i++) {
          const name = `${round}.${i}`
          const x = pick()
          const made = [
            () => g.linear(x, name, 16),
            () => g.add(x, pick(), random(2) ? 1 : 0.5),
            () => g.rmsNorm(x, name, eps),
            () => g.flatten(g.rope(g.rmsNorm(g.heads(x, 2), name, eps), rope)),
            () => g.actMul(g.linear(x, `${name}g`, 16), g.linear(x, `${name}u`, 16), 'silu'),
            () => g.scale(x, name),
            () => g.softcap(x, 3),
            () => {
              const wide = g.linear(x, `${name}w`, 32)
              return g.add(g.slice(wide, 0, 16), g.slice(wide, 16, 32))
            },
            () => {
              const heads = g.heads(x, 2)
              const options = { layer: i, kv: full, scale: 1 }
              return g.flatten(g.attention(heads, g.heads(pick(), 2), heads, options))
            },
            () => g.add(x, g.rmsNorm(g.linear(pick(), `${name}l`, 16), name, eps)),
          ][random(10)]
          if (made) pool.push(made())
        }
        const last = pool.at(-1) ?? pick()
        g.graph.result = g.linear(g.selectRows(last), 'out', 32).node
        return g
      }
      const start = seed
      const plain = build()
      seed = start
      const fused = build()
      fuse(fused.graph)
      for (const g of [plain, fused]) {
        const plan = lower(g.graph, 32)
        validatePlan(plan)
        const sum = plan.buffers.reduce((total, buffer) => total + buffer.width + 16, 0)
        expect(arenaWidth(plan)).toBeLessThanOrEqual(sum)
      }
    }
  })
})

describe('validatePlan', () => {
  const sound = () => {
    const g = new GraphBuilder()
    const h = g.embed('e', 32, 16)
    const x = g.add(g.softcap(h, 3), h)
    g.graph.result = g.linear(g.selectRows(x), 'out', 32).node
    return lower(g.graph, 32)
  }

  it.each<[string, (plan: Plan) => void, RegExp]>([
    ['shared memory', p => Object.assign(p.buffers[1] ?? {}, { at: 0 }), /share memory/],
    ['unaligned buffers', p => Object.assign(p.buffers[0] ?? {}, { at: 8 }), /multiple of 16/],
    ['a missing write', p => p.ops.shift(), /before it is written/],
    [
      'a wrong weight',
      p => Object.assign(p.weights[1] ?? {}, { cols: 5 }),
      /out.weight is \[32, 5\]/,
    ],
    [
      'columns beyond a buffer',
      p => Object.assign(p.buffers[0] ?? {}, { width: 8 }),
      /columns 0:16/,
    ],
    ['logits of another size', p => Object.assign(p, { vocab: 31 }), /logits/],
    ['mixed rows', p => Object.assign(p.buffers[1] ?? {}, { rows: 'L' }), /rows/],
  ])('rejects %s', (_, damage, message) => {
    const plan = sound()
    validatePlan(plan)
    damage(plan)
    expect(() => validatePlan(plan)).toThrow(PlanError)
    expect(() => validatePlan(plan)).toThrow(message)
  })
})

describe('GraphBuilder', () => {
  it.each<[string, (g: GraphBuilder, h: Tensor) => unknown, RegExp]>([
    ['add', (g, h) => g.add(h, g.linear(h, 'w', 8)), /add: \[T, 16\] and \[T, 8\]/],
    ['heads', (g, h) => g.heads(h, 3), /16 is not divisible into 3/],
    ['rope', (g, h) => g.rope(g.heads(h, 4), rope), /4 heads of 4/],
    ['slice', (g, h) => g.slice(h, 8, 17), /slice 8:17/],
    [
      'one weight, two shapes',
      (g, h) => [g.linear(h, 'w', 8), g.linear(h, 'w', 9)],
      /\[9, 16\] and as \[8, 16\]/,
    ],
    [
      'attention heads',
      (g, h) => {
        const kv = g.heads(h, 2)
        return g.attention(g.heads(g.linear(h, 'q', 24), 3), kv, kv, {
          layer: 0,
          kv: full,
          scale: 1,
        })
      },
      /q is 3 heads of 8, keys are 2 heads of 8/,
    ],
  ])('checks %s', (_, body, message) => {
    const g = new GraphBuilder()
    expect(() => body(g, g.embed('e', 32, 16))).toThrow(message)
  })
})
