import type { AttentionOptions, GraphBuilder, NormOptions, Tensor } from '../graph/graphBuilder.ts'
import type { Activation, RopeTable } from '../graph/ir.ts'
import type { Pooling, WeightScope } from './defineModel.ts'

/** Shapes: T tokens, D hidden, H/K query/kv heads, Hd head dim. */
export interface AttentionShape {
  hiddenSize: number
  numHeads: number
  numKvHeads: number
  headDim: number
  /** q, k and v have a bias. */
  qkvBias?: boolean
  /** o has a bias. */
  outputBias?: boolean
  /** q and k are normalized by head before rope. */
  qkNorm?: NormOptions
  rope: RopeTable
}

/** Grouped-query attention over `self_attn`: [T, D] to [T, D]. */
export function selfAttention(
  g: GraphBuilder,
  x: Tensor,
  w: WeightScope,
  shape: AttentionShape,
  options: AttentionOptions,
): Tensor {
  const { numHeads, numKvHeads, headDim, qkNorm, rope } = shape
  const bias = { bias: shape.qkvBias ?? false }
  const project = (name: string, heads: number) =>
    g.heads(g.linear(x, w(name), heads * headDim, bias), heads)
  const position = (t: Tensor, norm: string) =>
    g.rope(qkNorm ? g.rmsNorm(t, w(norm), qkNorm) : t, rope)
  const q = position(project('q_proj', numHeads), 'q_norm') // [T, H, Hd]
  const k = position(project('k_proj', numKvHeads), 'k_norm') // [T, K, Hd]
  const v = project('v_proj', numKvHeads)
  const a = g.flatten(g.attention(q, k, v, options)) // [T, H * Hd]
  return g.linear(a, w('o_proj'), shape.hiddenSize, { bias: shape.outputBias ?? false })
}

/** down(act(gate(x)) * up(x)): [rows, D] to [rows, D]. */
export function gatedMlp(
  g: GraphBuilder,
  x: Tensor,
  w: WeightScope,
  intermediateSize: number,
  act: Activation,
  options: { bias?: boolean } = {},
): Tensor {
  const gate = g.linear(x, w('gate_proj'), intermediateSize, options)
  const up = g.linear(x, w('up_proj'), intermediateSize, options)
  return g.linear(g.actMul(gate, up, act), w('down_proj'), x.node.width, options)
}

/** Norm and pooling: [T, D] to the hidden state of each sequence, [L, D]. The wanted row of a sequence is its last. */
export function pooledNorm(
  g: GraphBuilder,
  h: Tensor,
  weight: string,
  norm: NormOptions,
  pooling: Pooling,
): Tensor {
  if (pooling === 'mean') return g.meanRows(g.rmsNorm(h, weight, norm))
  return g.rmsNorm(g.selectRows(h), weight, norm)
}
