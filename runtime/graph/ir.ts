import type { KvLayer } from './kvGroups.ts'

/** Rows of a tensor: one for each token of the batch (T) or for each logit row (L). */
export type Rows = 'T' | 'L'
export type Activation = 'silu' | 'gelu_tanh'

/** A tensor of the checkpoint by its canonical Hugging Face name; vectors have rows = 1. */
export interface Weight {
  readonly name: string
  readonly rows: number
  readonly cols: number
}

/** x * (mean(x^2) + eps)^-0.5 * (weight + offset); `one` has no weight. */
export interface Norm {
  readonly weight: Weight | 'one'
  readonly eps: number
  readonly offset: 0 | 1
}

/** `dim / 2` inverse frequencies in float32; cosines and sines are multiplied by `factor`. */
export interface RopeTable {
  readonly dim: number
  readonly factor: number
  readonly invFreq: Float32Array
}

/** One source weight of a linear op; its output columns stay together through fusion. */
export interface LinearSlice {
  readonly weight: Weight
  readonly bias?: Weight
}

interface Shape {
  readonly rows: Rows
  readonly width: number
}

/** One operation and the tensor it makes, [rows, width] in float32. Operands are the fields of type Node. */
export type Node = Shape &
  (
    | { op: 'embed'; weight: Weight; scale: number }
    | { op: 'linear'; input: Node; slices: LinearSlice[]; norm?: Norm; residual?: Node }
    | {
        op: 'gatedLinear'
        input: Node
        gateWeight: Weight
        upWeight: Weight
        act: Activation
        norm?: Norm
      }
    | { op: 'rmsNorm'; input: Node; norm: Norm; heads: number; residual?: Node; scale?: Weight }
    | { op: 'rope'; input: Node; rope: RopeTable; heads: number }
    | { op: 'normRope'; input: Node; norm: Norm; rope: RopeTable; heads: number }
    | { op: 'kvWrite'; k: Node; v: Node; layer: number }
    | {
        op: 'attention'
        input: Node
        layer: number
        heads: number
        scale: number
        softcap: number
        causal: boolean
      }
    | { op: 'add'; a: Node; b: Node; scale: number }
    | { op: 'scale'; input: Node; weight: Weight }
    | { op: 'actMul'; gate: Node; up: Node; act: Activation }
    | { op: 'softcap'; input: Node; cap: number }
    | { op: 'selectRows'; input: Node }
    | { op: 'meanRows'; input: Node }
    | { op: 'slice'; input: Node; begin: number; end: number }
  )

export type NodeOf<Op extends Node['op']> = Extract<Node, { op: Op }>

const operandNames = ['input', 'a', 'b', 'gate', 'up', 'k', 'v', 'residual'] as const
type OperandName = (typeof operandNames)[number]
type AnyOperands = Partial<Record<OperandName, Node>>

/** The nodes a node reads, in a fixed order; one read twice is listed twice. */
export function operandsOf(node: Node): Node[] {
  const fields = node as AnyOperands
  return operandNames.flatMap(name => fields[name] ?? [])
}

/**
 * A model as a list of nodes in execution order, each defined before it is read. `kvWrite` has an effect, so the order
 * of nodes is kept by every rewrite.
 */
export class Graph {
  readonly nodes: Node[] = []
  readonly weights = new Map<string, Weight>()
  readonly kvLayers: KvLayer[] = []
  result: Node | undefined
  readonly #users = new Map<Node, Set<Node>>()

  /** The weight of that name, declared on first use. */
  weight(name: string, rows: number, cols: number): Weight {
    const known = this.weights.get(name)
    if (known) {
      if (known.rows !== rows || known.cols !== cols) {
        throw new Error(
          `weight ${name} is used as [${rows}, ${cols}] and as [${known.rows}, ${known.cols}]`,
        )
      }
      return known
    }
    const weight = { name, rows, cols }
    this.weights.set(name, weight)
    return weight
  }

  add<N extends Node>(node: N, position = this.nodes.length): N {
    for (const operand of operandsOf(node)) this.#usersOf(operand).add(node)
    this.#users.set(node, new Set())
    this.nodes.splice(position, 0, node)
    return node
  }

  has(node: Node): boolean {
    return this.#users.has(node)
  }

  /** Nodes that read this one. */
  users(node: Node): ReadonlySet<Node> {
    return this.#usersOf(node)
  }

  /** The one node that reads this one, and only once, unless it is also the result. */
  soleUser(node: Node): Node | undefined {
    const users = this.#usersOf(node)
    if (users.size !== 1 || node === this.result) return undefined
    for (const user of users) {
      if (operandsOf(user).filter(operand => operand === node).length === 1) return user
    }
    return undefined
  }

  /** Puts `next` where `old` was: same position, same readers. */
  replace(old: Node, next: Node): void {
    this.add(next, this.nodes.indexOf(old))
    for (const user of [...this.#usersOf(old)]) {
      if (user !== next) this.#redirect(user, old, next)
    }
    if (this.result === old) this.result = next
    this.remove(old)
  }

  /** Drops a node that nobody reads. */
  remove(node: Node): void {
    if (this.#usersOf(node).size > 0) throw new Error(`cannot remove ${node.op}: it is still read`)
    for (const operand of operandsOf(node)) this.#users.get(operand)?.delete(node)
    this.#users.delete(node)
    this.nodes.splice(this.nodes.indexOf(node), 1)
  }

  /** Drops every node without effect or reader. */
  removeDead(): void {
    for (const node of this.nodes.toReversed()) {
      if (node.op !== 'kvWrite' && node !== this.result && this.#usersOf(node).size === 0) {
        this.remove(node)
      }
    }
  }

  #redirect(user: Node, from: Node, to: Node): void {
    const fields = user as AnyOperands
    for (const name of operandNames) if (fields[name] === from) fields[name] = to
    this.#usersOf(from).delete(user)
    this.#usersOf(to).add(user)
  }

  #usersOf(node: Node): Set<Node> {
    const users = this.#users.get(node)
    if (users === undefined) throw new Error(`${node.op} is not a node of this graph`)
    return users
  }
}
