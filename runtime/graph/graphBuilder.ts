import { type Activation, Graph, type Node, type Norm, type RopeTable } from './ir.ts'
import type { KvSpec } from './kvGroups.ts'

/** A tensor of a model under construction: [rows, width], seen as `heads` runs of equal size. */
export interface Tensor {
  readonly node: Node
  readonly heads: number
}

export interface AttentionOptions {
  /** Index of the layer in the model. */
  layer: number
  kv: KvSpec
  /** Factor of the scores before the softmax. */
  scale: number
  /** Scores become cap * tanh(score / cap); off when left out. */
  softcap?: number
  /** false: queries see later keys of their sequence too, within the window. Default true. */
  causal?: boolean
}

export interface NormOptions {
  eps: number
  /** 1 for weights stored as distance from one (Gemma 2 and 3). */
  offset?: 0 | 1
}

/**
 * What a model definition writes with. Weights are named without their `.weight` / `.bias` suffix. Every method checks the
 * shapes it is given and throws an Error naming the operation, the weight and both shapes.
 */
export class GraphBuilder {
  readonly graph = new Graph()
  readonly #tied: ReadonlyMap<string, string>
  #layerHeads = new Map<number, { kvHeads: number; headDim: number }>()

  /** @param tied names of weights that are another weight, `lm_head.weight` to `model.embed_tokens.weight` */
  constructor(tied: ReadonlyMap<string, string> = new Map()) {
    this.#tied = tied
  }

  /** Rows of a table [vocab, width] by token id, times `scale`: [T, width]. */
  embed(weight: string, vocab: number, width: number, scale = 1): Tensor {
    const table = this.#weight(`${weight}.weight`, vocab, width)
    return this.#tensor({ op: 'embed', weight: table, scale, rows: 'T', width })
  }

  /** x @ W^T (+ bias): [rows, width]; W is [width, width of x]. */
  linear(x: Tensor, weight: string, width: number, options: { bias?: boolean } = {}): Tensor {
    const slice = {
      weight: this.#weight(`${weight}.weight`, width, x.node.width),
      ...(options.bias ? { bias: this.#weight(`${weight}.bias`, 1, width) } : {}),
    }
    return this.#tensor({
      op: 'linear',
      input: x.node,
      slices: [slice],
      rows: x.node.rows,
      width,
    })
  }

  /** Root mean square norm of each head; `weight` null has none. */
  rmsNorm(x: Tensor, weight: string | null, { eps, offset = 0 }: NormOptions): Tensor {
    const size = x.node.width / x.heads
    const norm: Norm = {
      weight: weight === null ? 'one' : this.#weight(`${weight}.weight`, 1, size),
      eps,
      offset,
    }
    const { rows, width } = x.node
    return this.#tensor(
      { op: 'rmsNorm', input: x.node, norm, heads: x.heads, rows, width },
      x.heads,
    )
  }

  /** The same tensor seen as `count` heads. */
  heads(x: Tensor, count: number): Tensor {
    if (!Number.isInteger(x.node.width / count)) {
      throw new Error(`heads: a width of ${x.node.width} is not divisible into ${count} heads`)
    }
    return { node: x.node, heads: count }
  }

  /** The same tensor without heads. */
  flatten(x: Tensor): Tensor {
    return { node: x.node, heads: 1 }
  }

  /** Rotates the first `rope.dim` columns of each head by the position of its row. */
  rope(x: Tensor, rope: RopeTable): Tensor {
    const { rows, width } = x.node
    if (rows !== 'T' || width < x.heads * rope.dim) {
      throw new Error(`rope: ${x.heads} heads of ${width / x.heads}, the table is for ${rope.dim}`)
    }
    return this.#tensor({ op: 'rope', input: x.node, rope, heads: x.heads, rows, width }, x.heads)
  }

  /** Stores k and v ([T, K, Hd]) and attends from q ([T, H, Hd]): [T, H, Hd]. */
  attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
    const { layer, kv } = options
    const headDim = k.node.width / k.heads
    if (kv.kind === 'shared')
      throw new Error(`attention of layer ${layer}: shared layers store nothing`)
    if (v.node.width !== k.node.width || v.heads !== k.heads) {
      throw new Error(`attention of layer ${layer}: k is ${shape(k)}, v is ${shape(v)}`)
    }
    if (this.#layerHeads.has(layer)) throw new Error(`attention of layer ${layer} is built twice`)
    this.#layerHeads.set(layer, { kvHeads: k.heads, headDim })
    this.graph.kvLayers.push({ layer, spec: kv, kvHeads: k.heads, headDim })
    this.graph.add({ op: 'kvWrite', k: k.node, v: v.node, layer, rows: 'T', width: 0 })
    return this.#attend(q, layer, options)
  }

  /** Attends from q ([T, H, Hd]) to what the earlier layer `options.kv.layer` stored: [T, H, Hd]. */
  sharedAttention(q: Tensor, options: AttentionOptions): Tensor {
    if (options.kv.kind !== 'shared') {
      throw new Error(`attention of layer ${options.layer}: not a shared layer`)
    }
    return this.#attend(q, options.kv.layer, options)
  }

  /** (a + b) * scale */
  add(a: Tensor, b: Tensor, scale = 1): Tensor {
    this.#sameShape('add', a, b)
    const { rows, width } = a.node
    return this.#tensor({ op: 'add', a: a.node, b: b.node, scale, rows, width }, a.heads)
  }

  /** x times a stored scalar, a tensor of one element whose name has no suffix. */
  scale(x: Tensor, weight: string): Tensor {
    const { rows, width } = x.node
    const scalar = this.#weight(weight, 1, 1)
    return this.#tensor({ op: 'scale', input: x.node, weight: scalar, rows, width }, x.heads)
  }

  /** act(gate) * up */
  actMul(gate: Tensor, up: Tensor, act: Activation): Tensor {
    this.#sameShape('actMul', gate, up)
    const { rows, width } = gate.node
    return this.#tensor(
      { op: 'actMul', gate: gate.node, up: up.node, act, rows, width },
      gate.heads,
    )
  }

  /** cap * tanh(x / cap) */
  softcap(x: Tensor, cap: number): Tensor {
    const { rows, width } = x.node
    return this.#tensor({ op: 'softcap', input: x.node, cap, rows, width }, x.heads)
  }

  /** The rows whose logits are wanted: [L, width]. */
  selectRows(x: Tensor): Tensor {
    if (x.node.rows === 'L') throw new Error('selectRows: rows are selected already')
    return this.#tensor(
      { op: 'selectRows', input: x.node, rows: 'L', width: x.node.width },
      x.heads,
    )
  }

  /** The mean of all rows of the sequence of each wanted row: [L, width]. */
  meanRows(x: Tensor): Tensor {
    if (x.node.rows === 'L') throw new Error('meanRows: rows are selected already')
    return this.#tensor({ op: 'meanRows', input: x.node, rows: 'L', width: x.node.width }, x.heads)
  }

  /** Columns begin .. end-1. */
  slice(x: Tensor, begin: number, end: number): Tensor {
    if (!(begin >= 0 && begin < end && end <= x.node.width)) {
      throw new Error(`slice ${begin}:${end} of a tensor of width ${x.node.width}`)
    }
    const { rows } = x.node
    return this.#tensor({ op: 'slice', input: x.node, begin, end, rows, width: end - begin })
  }

  #attend(q: Tensor, layer: number, options: AttentionOptions): Tensor {
    const cached = this.#layerHeads.get(layer)
    if (!cached)
      throw new Error(`attention of layer ${options.layer}: layer ${layer} stores nothing`)
    const { rows, width } = q.node
    if (width / q.heads !== cached.headDim || q.heads % cached.kvHeads !== 0) {
      throw new Error(
        `attention of layer ${options.layer}: q is ${shape(q)}, keys are ${cached.kvHeads} heads of ${cached.headDim}`,
      )
    }
    const { scale, softcap = 0, causal = true } = options
    return this.#tensor(
      {
        op: 'attention',
        input: q.node,
        layer,
        heads: q.heads,
        scale,
        softcap,
        causal,
        rows,
        width,
      },
      q.heads,
    )
  }

  #sameShape(op: string, a: Tensor, b: Tensor): void {
    if (a.node.width !== b.node.width || a.node.rows !== b.node.rows) {
      throw new Error(
        `${op}: [${a.node.rows}, ${a.node.width}] and [${b.node.rows}, ${b.node.width}]`,
      )
    }
  }

  #weight(name: string, rows: number, cols: number) {
    return this.graph.weight(this.#tied.get(name) ?? name, rows, cols)
  }

  #tensor(node: Node, heads = 1): Tensor {
    return { node: this.graph.add(node), heads }
  }
}

function shape(x: Tensor): string {
  return `${x.heads} heads of ${x.node.width / x.heads}`
}
