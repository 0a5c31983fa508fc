import { describe, expect, it } from 'vitest'
import { GraphBuilder, type Tensor } from './graphBuilder.ts'
import type { Node } from './ir.ts'
import { full } from './kvGroups.ts'
import { lower } from './lower.ts'
import { fuse, rewrites } from './rewrites.ts'
import { validatePlan } from './validatePlan.ts'

const eps = { eps: 1e-6 }
const rope = { dim: 8, factor: 1, invFreq: Float32Array.of(1, 0.5, 0.25, 0.125) }

/** Builds a graph around `body`, [T, 16] to [T, any], applies one rewrite and lists the ops left, without the frame's. */
function opsAfter(name: string, body: (g: GraphBuilder, h: Tensor) => Tensor): Node['op'][] {
  const g = new GraphBuilder()
  const h = g.embed('frame_embed', 32, 16)
  const x = g.selectRows(body(g, h))
  g.graph.result = g.softcap(x, 30).node
  const rewrite = rewrites.filter(candidate => candidate.name === name)
  expect(rewrite).toHaveLength(1)
  fuse(g.graph, rewrite)
  const { width } = g.graph.result
  validatePlan(lower(g.graph, width))
  return g.graph.nodes.slice(1, -2).map(node => node.op)
}

type Case = [name: string, body: (g: GraphBuilder, h: Tensor) => Tensor, ops: Node['op'][]]

describe('gated-linear', () => {
  it.each<Case>([
    [
      'fuses gate, up and activation',
      (g, h) => g.actMul(g.linear(h, 'gate', 32), g.linear(h, 'up', 32), 'silu'),
      ['gatedLinear'],
    ],
    [
      'leaves biases alone',
      (g, h) => g.actMul(g.linear(h, 'gate', 32, { bias: true }), g.linear(h, 'up', 32), 'silu'),
      ['linear', 'linear', 'actMul'],
    ],
    [
      'leaves linears of different inputs alone',
      (g, h) => {
        const other = g.softcap(h, 5)
        return g.actMul(g.linear(h, 'gate', 32), g.linear(other, 'up', 32), 'silu')
      },
      ['softcap', 'linear', 'linear', 'actMul'],
    ],
    [
      'leaves a gate that is read elsewhere alone',
      (g, h) => {
        const gate = g.linear(h, 'gate', 32)
        return g.add(g.actMul(gate, g.linear(h, 'up', 32), 'silu'), gate)
      },
      ['linear', 'linear', 'actMul', 'add'],
    ],
  ])('%s', (_, body, ops) => expect(opsAfter('gated-linear', body)).toEqual(ops))
})

describe('parallel-linears', () => {
  const qkv = (g: GraphBuilder, h: Tensor) => {
    const q = g.heads(g.linear(h, 'q', 32, { bias: true }), 4)
    const k = g.heads(g.linear(h, 'k', 16), 2)
    const v = g.heads(g.linear(h, 'v', 16), 2)
    return g.flatten(
      g.attention(g.rope(q, rope), g.rope(k, rope), v, { layer: 0, kv: full, scale: 1 }),
    )
  }

  it('makes one linear of those on the same input, with slices in place of the others', () => {
    expect(opsAfter('parallel-linears', qkv)).toEqual([
      'linear',
      'slice',
      'slice',
      'slice',
      'rope',
      'rope',
      'kvWrite',
      'attention',
    ])
  })

  it('keeps the source weights apart, in order, with their biases', () => {
    const g = new GraphBuilder()
    g.graph.result = g.selectRows(qkv(g, g.embed('e', 32, 16))).node
    fuse(
      g.graph,
      rewrites.filter(rewrite => rewrite.name === 'parallel-linears'),
    )
    const linear = g.graph.nodes.find(node => node.op === 'linear')
    const slices = linear?.op === 'linear' ? linear.slices : []
    expect(slices.map(slice => [slice.weight.name, slice.bias?.name])).toEqual([
      ['q.weight', 'q.bias'],
      ['k.weight', undefined],
      ['v.weight', undefined],
    ])
  })

  it('leaves a single linear alone', () => {
    expect(opsAfter('parallel-linears', (g, h) => g.linear(h, 'w', 8))).toEqual(['linear'])
  })
})

describe('norm-prologue', () => {
  it.each<Case>([
    [
      'folds a norm into its linear',
      (g, h) => g.linear(g.rmsNorm(h, 'n', eps), 'w', 16),
      ['linear'],
    ],
    [
      'folds it into every reader when all are linears',
      (g, h) => {
        const x = g.rmsNorm(h, 'n', eps)
        return g.add(g.linear(x, 'a', 16), g.linear(x, 'b', 16))
      },
      ['linear', 'linear', 'add'],
    ],
    [
      'keeps a norm that something else reads too',
      (g, h) => {
        const x = g.rmsNorm(h, 'n', eps)
        return g.add(g.linear(x, 'a', 16), x)
      },
      ['rmsNorm', 'linear', 'add'],
    ],
    [
      'keeps a norm by head',
      (g, h) => g.linear(g.flatten(g.rmsNorm(g.heads(h, 2), 'n', eps)), 'w', 16),
      ['rmsNorm', 'linear'],
    ],
  ])('%s', (_, body, ops) => expect(opsAfter('norm-prologue', body)).toEqual(ops))
})

describe('linear-residual', () => {
  it.each<Case>([
    ['folds an add, residual first', (g, h) => g.add(h, g.linear(h, 'w', 16)), ['linear']],
    ['folds an add, residual second', (g, h) => g.add(g.linear(h, 'w', 16), h), ['linear']],
    [
      'folds one of two linears',
      (g, h) => g.add(g.linear(h, 'a', 16), g.linear(h, 'b', 16)),
      ['linear', 'linear'],
    ],
    ['keeps a scaled add', (g, h) => g.add(h, g.linear(h, 'w', 16), 0.5), ['linear', 'add']],
    [
      'keeps a linear added to itself',
      (g, h) => {
        const x = g.linear(h, 'w', 16)
        return g.add(x, x)
      },
      ['linear', 'add'],
    ],
  ])('%s', (_, body, ops) => expect(opsAfter('linear-residual', body)).toEqual(ops))
})

describe('norm-residual and norm-scale', () => {
  it.each<[string, ...Case]>([
    [
      'norm-residual',
      'folds an add',
      (g, h) => g.add(h, g.rmsNorm(g.softcap(h, 5), 'n', eps)),
      ['softcap', 'rmsNorm'],
    ],
    [
      'norm-residual',
      'keeps the add of a norm by head',
      (g, h) => g.add(h, g.flatten(g.rmsNorm(g.heads(h, 2), 'n', eps))),
      ['rmsNorm', 'add'],
    ],
    [
      'norm-scale',
      'folds a stored scalar',
      (g, h) => g.scale(g.rmsNorm(h, 'n', eps), 's'),
      ['rmsNorm'],
    ],
    [
      'norm-scale',
      'keeps the scale of a norm that is read elsewhere',
      (g, h) => {
        const x = g.rmsNorm(h, 'n', eps)
        return g.add(g.scale(x, 's'), x)
      },
      ['rmsNorm', 'scale', 'add'],
    ],
  ])('%s %s', (name, _, body, ops) => expect(opsAfter(name, body)).toEqual(ops))
})

describe('norm-rope', () => {
  it.each<Case>([
    [
      'folds norm and rope over the same heads',
      (g, h) => g.flatten(g.rope(g.rmsNorm(g.heads(h, 2), 'n', eps), rope)),
      ['normRope'],
    ],
    [
      'keeps a norm over everything',
      (g, h) => g.flatten(g.rope(g.heads(g.rmsNorm(h, 'n', eps), 2), rope)),
      ['rmsNorm', 'rope'],
    ],
  ])('%s', (_, body, ops) => expect(opsAfter('norm-rope', body)).toEqual(ops))
})
