import type { Graph, Node, Norm, RopeTable, Weight } from './ir.ts'
import { operandsOf } from './ir.ts'
import { planKvGroups } from './kvGroups.ts'
import { type Lifetime, planMemory } from './memoryPlanner.ts'
import type { Plan, PlanBuffer, PlanNorm, PlanOp, View } from './plan.ts'

/** Where a node's tensor lies, and the last op that reads it. */
interface Place {
  view: View
  lastUse: number
}

/**
 * Turns a graph into a plan: drops dead nodes, writes in place where the op allows it and nobody needs the old values,
 * and lays the remaining buffers over each other.
 */
export function lower(graph: Graph, vocab: number, kind: Plan['result']['kind'] = 'logits'): Plan {
  graph.removeDead()
  const { result } = graph
  const wanted = kind === 'logits' ? vocab : result?.width
  if (!result || result.width !== wanted || result.rows !== 'L') {
    throw new Error(`the ${kind} are [${result?.rows}, ${result?.width}], not [L, ${wanted}]`)
  }
  return new Lowering(graph, result, vocab, kind).run()
}

class Lowering {
  readonly #graph: Graph
  readonly #result: Node
  readonly #plan: Plan
  readonly #kvPlaces: ReturnType<typeof planKvGroups>['places']
  readonly #weightIndex = new Map<string, number>()
  readonly #ropeIndex = new Map<RopeTable, number>()
  readonly #opIndex = new Map<Node, number>()
  readonly #places = new Map<Node, Place>()
  /** All tensors that ever lie in a buffer. */
  readonly #tenants: Place[][] = []

  constructor(graph: Graph, result: Node, vocab: number, kind: Plan['result']['kind']) {
    this.#graph = graph
    this.#result = result
    const { groups, places } = planKvGroups(graph.kvLayers)
    this.#kvPlaces = places
    this.#plan = {
      vocab,
      groups,
      ropes: [],
      weights: [],
      buffers: [],
      ops: [],
      result: { kind, buffer: 0 },
    }
  }

  run(): Plan {
    const nodes = this.#graph.nodes.filter(node => node.op !== 'slice')
    nodes.forEach((node, index) => {
      this.#opIndex.set(node, index)
    })
    nodes.forEach((node, index) => {
      this.#plan.ops.push(this.#op(node, index))
    })
    this.#plan.result.buffer = this.#view(this.#result).buffer
    this.#placeBuffers()
    return this.#plan
  }

  #op(node: Node, index: number): PlanOp {
    switch (node.op) {
      case 'embed':
        return {
          op: 'embed',
          out: this.#output(node, index),
          weight: this.#weight(node.weight),
          scale: node.scale,
        }
      case 'linear': {
        const residual = node.residual && this.#view(node.residual)
        return {
          op: 'linear',
          in: this.#view(node.input),
          out: this.#output(node, index, node.residual),
          weights: node.slices.map(slice => this.#weight(slice.weight)),
          biases: node.slices.map(slice => slice.bias && this.#weight(slice.bias)),
          ...(node.norm ? { norm: this.#norm(node.norm) } : {}),
          ...(residual ? { residual } : {}),
        }
      }
      case 'gatedLinear':
        return {
          op: 'gated_linear',
          in: this.#view(node.input),
          out: this.#output(node, index),
          gate: this.#weight(node.gateWeight),
          up: this.#weight(node.upWeight),
          act: node.act,
          ...(node.norm ? { norm: this.#norm(node.norm) } : {}),
        }
      case 'rmsNorm': {
        const residual = node.residual && this.#view(node.residual)
        return {
          op: 'rms_norm',
          in: this.#view(node.input),
          out: this.#output(node, index, node.residual, node.input),
          norm: this.#norm(node.norm),
          heads: node.heads,
          ...(residual ? { residual } : {}),
          ...(node.scale ? { scale: this.#weight(node.scale) } : {}),
        }
      }
      case 'rope':
        return {
          op: 'rope',
          in: this.#view(node.input),
          out: this.#output(node, index, node.input),
          rope: this.#rope(node.rope),
          heads: node.heads,
        }
      case 'normRope':
        return {
          op: 'norm_rope',
          in: this.#view(node.input),
          out: this.#output(node, index, node.input),
          norm: this.#norm(node.norm),
          rope: this.#rope(node.rope),
          heads: node.heads,
        }
      case 'kvWrite':
        return {
          op: 'kv_write',
          k: this.#view(node.k),
          v: this.#view(node.v),
          ...this.#kvPlace(node.layer),
        }
      case 'attention':
        return {
          op: 'attention',
          q: this.#view(node.input),
          out: this.#output(node, index),
          ...this.#kvPlace(node.layer),
          heads: node.heads,
          scale: node.scale,
          softcap: node.softcap,
          causal: node.causal,
        }
      case 'add': {
        const [a, b] = [this.#view(node.a), this.#view(node.b)]
        const out = this.#output(node, index, node.a, node.b)
        // In place is with `a`; the sum is the same either way round.
        const [first, second] = sameView(out, b) ? [b, a] : [a, b]
        return { op: 'add', a: first, b: second, out, scale: node.scale }
      }
      case 'scale':
        return {
          op: 'scale',
          in: this.#view(node.input),
          out: this.#output(node, index, node.input),
          weight: this.#weight(node.weight),
        }
      case 'actMul':
        return {
          op: 'act_mul',
          gate: this.#view(node.gate),
          up: this.#view(node.up),
          out: this.#output(node, index, node.gate),
          act: node.act,
        }
      case 'softcap':
        return {
          op: 'softcap',
          in: this.#view(node.input),
          out: this.#output(node, index, node.input),
          cap: node.cap,
        }
      case 'selectRows':
        return { op: 'select_rows', in: this.#view(node.input), out: this.#output(node, index) }
      case 'meanRows':
        return { op: 'mean_rows', in: this.#view(node.input), out: this.#output(node, index) }
      case 'slice':
        throw new Error('slices are views, not ops')
    }
  }

  /** Place for a node's tensor: over the first of `inPlace` that dies here, else a buffer of its own. */
  #output(node: Node, index: number, ...inPlace: (Node | undefined)[]): View {
    let view: View | undefined
    for (const operand of inPlace) {
      if (operand && this.#canOverwrite(node, operand, index)) {
        view = this.#view(operand)
        break
      }
    }
    if (!view) {
      const buffer = this.#plan.buffers.length
      this.#plan.buffers.push({ rows: node.rows, width: node.width, at: 0 })
      this.#tenants.push([])
      view = { buffer, begin: 0, end: node.width }
    }
    this.#settle(node, view, index)
    return view
  }

  #canOverwrite(node: Node, operand: Node, index: number): boolean {
    const view = this.#view(operand)
    const tenants = this.#tenants[view.buffer] ?? []
    const stillRead = tenants.some(place => place.lastUse > index && overlap(place.view, view))
    // Only one operand may be the output; the others must lie elsewhere.
    const touching = operandsOf(node).filter(other => overlap(this.#view(other), view))
    return operand.width === node.width && !stillRead && touching.length === 1
  }

  /** Records where a node lies, and with it every slice of it, which are alive from now on too. */
  #settle(node: Node, view: View, index: number): void {
    const readers = [...this.#graph.users(node)]
    const uses = readers.map(user => this.#opIndex.get(user) ?? index)
    const lastUse = node === this.#result ? Number.POSITIVE_INFINITY : Math.max(index, ...uses)
    const place = { view, lastUse }
    this.#places.set(node, place)
    this.#tenants[view.buffer]?.push(place)
    for (const user of readers) {
      if (user.op === 'slice') {
        const { buffer, begin } = view
        const part = { buffer, begin: begin + user.begin, end: begin + user.end }
        this.#settle(user, part, index)
      }
    }
  }

  #view(node: Node): View {
    const place = this.#places.get(node)
    if (!place) throw new Error(`${node.op} is read before it is computed`)
    return place.view
  }

  #placeBuffers(): void {
    const lastOp = this.#plan.ops.length
    const lifetimes: Lifetime[] = this.#plan.buffers.map((buffer, index) => {
      const uses = (this.#tenants[index] ?? []).map(place => Math.min(place.lastUse, lastOp))
      return { width: buffer.width, first: this.#firstOp(index), last: Math.max(...uses) }
    })
    for (const rows of ['T', 'L'] as const) {
      const members = this.#plan.buffers.flatMap((buffer, index) => {
        const lifetime = lifetimes[index]
        return buffer.rows === rows && lifetime ? [{ buffer, lifetime }] : []
      })
      const offsets = planMemory(members.map(member => member.lifetime))
      members.forEach(({ buffer }: { buffer: PlanBuffer }, i) => {
        buffer.at = offsets[i] ?? 0
      })
    }
  }

  #firstOp(buffer: number): number {
    return this.#plan.ops.findIndex(op => 'out' in op && op.out.buffer === buffer)
  }

  #weight(weight: Weight): number {
    const index = this.#weightIndex.get(weight.name) ?? this.#plan.weights.length
    if (index === this.#plan.weights.length) {
      this.#plan.weights.push({ name: weight.name, rows: weight.rows, cols: weight.cols })
      this.#weightIndex.set(weight.name, index)
    }
    return index
  }

  #norm(norm: Norm): PlanNorm {
    return { ...norm, weight: norm.weight === 'one' ? 'one' : this.#weight(norm.weight) }
  }

  #rope(rope: RopeTable): number {
    const index = this.#ropeIndex.get(rope) ?? this.#plan.ropes.length
    if (index === this.#plan.ropes.length) {
      this.#plan.ropes.push(rope)
      this.#ropeIndex.set(rope, index)
    }
    return index
  }

  #kvPlace(layer: number): { group: number; layer: number } {
    const place = this.#kvPlaces.get(layer)
    if (!place) throw new Error(`layer ${layer} has no KV storage`)
    return place
  }
}

function overlap(a: View, b: View): boolean {
  return a.buffer === b.buffer && a.begin < b.end && b.begin < a.end
}

function sameView(a: View, b: View): boolean {
  return a.buffer === b.buffer && a.begin === b.begin && a.end === b.end
}
