import { type Graph, type Node, type NodeOf, operandsOf } from './ir.ts'

export interface Rewrite {
  name: string
  /** What it saves. */
  why: string
  /** Rewrites around `node` if it is the root of a match. */
  apply(graph: Graph, node: Node): void
}

/** All fusions, in the order they run: a later one sees what the earlier ones made. */
export const rewrites: readonly Rewrite[] = [
  {
    name: 'gated-linear',
    why: 'gate and up read the input once and the activation never touches memory',
    apply(graph, node) {
      if (node.op !== 'actMul') return
      const { gate, up, act, rows, width } = node
      if (gate === up || !isPlainLinear(gate) || !isPlainLinear(up) || gate.input !== up.input)
        return
      if (graph.soleUser(gate) !== node || graph.soleUser(up) !== node) return
      const [gateSlice, upSlice] = [gate.slices[0], up.slices[0]]
      if (!gateSlice || !upSlice || gate.slices.length > 1 || up.slices.length > 1) return
      if (gateSlice.bias || upSlice.bias) return
      graph.replace(node, {
        op: 'gatedLinear',
        input: gate.input,
        gateWeight: gateSlice.weight,
        upWeight: upSlice.weight,
        act,
        rows,
        width,
      })
      graph.remove(gate)
      graph.remove(up)
    },
  },
  {
    name: 'parallel-linears',
    why: 'Q, K and V in one op: the input is quantized once and threads get more rows to share',
    apply(graph, node) {
      if (!isPlainLinear(node)) return
      const { input, rows } = node
      const linears = [...graph.users(input)]
        .filter(isPlainLinear)
        .filter(linear => linear !== graph.result)
        .sort((a, b) => graph.nodes.indexOf(a) - graph.nodes.indexOf(b))
      if (linears.length < 2 || linears[0] !== node) return
      const fused: Node = {
        op: 'linear',
        input,
        slices: linears.flatMap(linear => linear.slices),
        rows,
        width: linears.reduce((sum, linear) => sum + linear.width, 0),
      }
      graph.add(fused, graph.nodes.indexOf(node))
      let begin = 0
      for (const linear of linears) {
        const end = begin + linear.width
        graph.replace(linear, { op: 'slice', input: fused, begin, end, rows, width: linear.width })
        begin = end
      }
    },
  },
  {
    name: 'norm-prologue',
    why: 'the norm is applied while the linear reads its input',
    apply(graph, node) {
      if (node.op !== 'rmsNorm' || node.heads !== 1 || node.residual || node.scale) return
      if (node === graph.result) return
      const users = [...graph.users(node)]
      if (!users.every(user => takesNorm(user) && operandsOf(user).length === 1)) return
      for (const user of users) {
        if (takesNorm(user)) graph.replace(user, { ...user, input: node.input, norm: node.norm })
      }
      graph.remove(node)
    },
  },
  {
    name: 'linear-residual',
    why: 'the residual is added as the result is written',
    apply(graph, node) {
      const match = residualOf(graph, node, 'linear')
      if (match) fold(graph, node, match.inner, { ...match.inner, residual: match.residual })
    },
  },
  {
    name: 'norm-residual',
    why: 'norms after attention and feed-forward (Gemma) add to the stream as they write',
    apply(graph, node) {
      const match = residualOf(graph, node, 'rmsNorm')
      if (match?.inner.heads !== 1 || match.inner.scale) return
      fold(graph, node, match.inner, { ...match.inner, residual: match.residual })
    },
  },
  {
    name: 'norm-scale',
    why: "a layer's output scale rides on the norm before it",
    apply(graph, node) {
      if (node.op !== 'scale') return
      const inner = node.input
      if (inner.op !== 'rmsNorm' || inner.scale || graph.soleUser(inner) !== node) return
      fold(graph, node, inner, { ...inner, scale: node.weight })
    },
  },
  {
    name: 'norm-rope',
    why: 'q and k are normalized and rotated in one pass over their heads',
    apply(graph, node) {
      if (node.op !== 'rope') return
      const inner = node.input
      if (inner.op !== 'rmsNorm' || inner.residual || inner.scale) return
      if (inner.heads !== node.heads || graph.soleUser(inner) !== node) return
      const { rope, heads, rows, width } = node
      const { input, norm } = inner
      fold(graph, node, inner, { op: 'normRope', input, norm, rope, heads, rows, width })
    },
  },
]

/** Applies the rewrites named, all by default. */
export function fuse(graph: Graph, selected: readonly Rewrite[] = rewrites): void {
  for (const rewrite of selected) {
    for (const node of [...graph.nodes]) if (graph.has(node)) rewrite.apply(graph, node)
  }
}

/** A linear nothing has been folded into yet. */
function isPlainLinear(node: Node): node is NodeOf<'linear'> {
  return node.op === 'linear' && !node.norm && !node.residual
}

function takesNorm(node: Node): node is NodeOf<'linear'> | NodeOf<'gatedLinear'> {
  return (node.op === 'linear' || node.op === 'gatedLinear') && !node.norm
}

/** Splits `add(residual, inner)` in either order, where inner is of the kind given and has no other reader. */
function residualOf<Op extends 'linear' | 'rmsNorm'>(
  graph: Graph,
  node: Node,
  op: Op,
): { residual: Node; inner: NodeOf<Op> } | undefined {
  if (node.op !== 'add' || node.scale !== 1 || node.a === node.b) return undefined
  const folds = (inner: Node): inner is NodeOf<Op> =>
    isNode(inner, op) && !('residual' in inner) && graph.soleUser(inner) === node
  if (folds(node.b)) return { residual: node.a, inner: node.b }
  if (folds(node.a)) return { residual: node.b, inner: node.a }
  return undefined
}

function isNode<Op extends Node['op']>(node: Node, op: Op): node is NodeOf<Op> {
  return node.op === op
}

/** Puts `fused` in place of `outer`, whose operand `inner` it has absorbed. */
function fold(graph: Graph, outer: Node, inner: Node, fused: Node): void {
  graph.replace(outer, fused)
  graph.remove(inner)
}
