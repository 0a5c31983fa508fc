import { describe, expect, it } from 'vitest'
import type { Plan } from './plan.ts'
import { float, printPlan } from './printPlan.ts'

describe('float', () => {
  it.each([
    [0, '0'],
    [1, '1'],
    [1e-6, '0.000001'],
    [1e-7, '1e-7'],
    [0.1, '0.1'],
    [500000, '500000'],
    [1 / 3, '0.33333334'],
  ])('prints %d as %s', (value, text) => {
    expect(float(value)).toBe(text)
  })

  it('reads back as the same float32', () => {
    const bits = new Uint32Array(1)
    const value = new Float32Array(bits.buffer)
    for (let i = 0; i < 2000; i++) {
      bits[0] = (i * 2654435761) >>> 0
      const single = value[0] ?? 0
      if (Number.isFinite(single)) expect(Math.fround(Number(float(single)))).toBe(single)
    }
  })
})

describe('printPlan', () => {
  it('writes every statement and op in the language of docs/plan.md', () => {
    const all = (buffer: number, width: number) => ({ buffer, begin: 0, end: width })
    const norm = { weight: 1, eps: 1e-6, offset: 1 } as const
    const plan: Plan = {
      vocab: 8,
      groups: [
        { kind: 'full', kvHeads: 1, headDim: 4, layers: 1, pageTokens: 32 },
        { kind: 'sliding', window: 8, kvHeads: 1, headDim: 4, layers: 1, pageTokens: 32 },
      ],
      ropes: [{ dim: 4, factor: 1, invFreq: Float32Array.of(1, 0.5) }],
      weights: [
        { name: 'a.weight', rows: 8, cols: 4 },
        { name: 'b.weight', rows: 1, cols: 4 },
      ],
      buffers: [
        { rows: 'T', width: 4, at: 0 },
        { rows: 'T', width: 12, at: 16 },
        { rows: 'L', width: 8, at: 0 },
      ],
      ops: [
        { op: 'embed', out: all(0, 4), weight: 0, scale: 2 },
        {
          op: 'linear',
          in: all(0, 4),
          out: all(1, 12),
          weights: [0, 1],
          biases: [undefined, 1],
          norm,
          residual: all(1, 12),
        },
        { op: 'linear', in: all(0, 4), out: all(1, 12), weights: [0], biases: [undefined] },
        { op: 'gated_linear', in: all(0, 4), out: all(1, 12), gate: 0, up: 1, act: 'silu' },
        {
          op: 'rms_norm',
          in: { buffer: 1, begin: 4, end: 8 },
          out: all(0, 4),
          norm: { ...norm, weight: 'one' },
          heads: 2,
          residual: all(0, 4),
          scale: 1,
        },
        { op: 'rope', in: all(0, 4), out: all(0, 4), rope: 0, heads: 1 },
        { op: 'norm_rope', in: all(0, 4), out: all(0, 4), norm, rope: 0, heads: 1 },
        { op: 'kv_write', k: all(0, 4), v: all(0, 4), group: 1, layer: 0 },
        {
          op: 'attention',
          q: all(0, 4),
          out: all(0, 4),
          group: 1,
          layer: 0,
          heads: 1,
          scale: 0.5,
          softcap: 30,
          causal: true,
        },
        { op: 'add', a: all(0, 4), b: all(0, 4), out: all(0, 4), scale: 1 },
        { op: 'scale', in: all(0, 4), out: all(0, 4), weight: 1 },
        { op: 'act_mul', gate: all(0, 4), up: all(0, 4), out: all(0, 4), act: 'gelu_tanh' },
        { op: 'select_rows', in: all(1, 12), out: all(2, 8) },
        { op: 'softcap', in: all(2, 8), out: all(2, 8), cap: 30 },
      ],
      result: { kind: 'logits', buffer: 2 },
    }
    expect(printPlan(plan)).toBe(`plan 1
vocab 8
group 0 kind=full kv_heads=1 head_dim=4 layers=1 page_tokens=32
group 1 kind=sliding window=8 kv_heads=1 head_dim=4 layers=1 page_tokens=32
rope r0 dim=4 factor=1 inv_freq=1,0.5
weight w0 rows=8 cols=4 name=a.weight
weight w1 rows=1 cols=4 name=b.weight
buffer b0 rows=T width=4 at=0
buffer b1 rows=T width=12 at=16
buffer b2 rows=L width=8 at=0
op embed out=b0 weight=w0 scale=2
op linear in=b0 out=b1 weights=w0,w1 biases=-,w1 norm=w1 eps=0.000001 offset=1 residual=b1
op linear in=b0 out=b1 weights=w0
op gated_linear in=b0 out=b1 gate=w0 up=w1 act=silu
op rms_norm in=b1[4:8] out=b0 weight=one eps=0.000001 offset=1 heads=2 residual=b0 scale=w1
op rope in=b0 out=b0 rope=r0 heads=1
op norm_rope in=b0 out=b0 weight=w1 eps=0.000001 offset=1 rope=r0 heads=1
op kv_write k=b0 v=b0 group=1 layer=0
op attention q=b0 out=b0 group=1 layer=0 heads=1 scale=0.5 softcap=30
op add a=b0 b=b0 out=b0 scale=1
op scale in=b0 out=b0 weight=w1
op act_mul gate=b0 up=b0 out=b0 act=gelu_tanh
op select_rows in=b1 out=b2
op softcap in=b2 out=b2 cap=30
logits b2
`)
  })
})
