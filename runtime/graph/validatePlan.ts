import type { Rows } from './ir.ts'
import {
  inPlaceOperandsOf,
  type Plan,
  type PlanNorm,
  type PlanOp,
  readsOf,
  type View,
  writeOf,
} from './plan.ts'

/** A plan that breaks a rule of docs/plan.md; the message names the op or buffer. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}

/**
 * Checks shapes, indices, rows, in-place rules, that every read column has been written and that no two buffers share
 * memory while both are in use. Independent of how the plan was made.
 * @throws PlanError
 */
export function validatePlan(plan: Plan): void {
  plan.ops.forEach((op, index) => {
    const fail = (reason: string): never => {
      throw new PlanError(`op ${index} (${op.op}): ${reason}`)
    }
    checkViews(plan, op, fail)
    checkShapes(plan, op, fail)
  })
  checkDataFlow(plan)
  checkMemory(plan)
}

type Fail = (reason: string) => never

const width = (view: View) => view.end - view.begin

function rowsOf(plan: Plan, view: View): Rows | undefined {
  return plan.buffers[view.buffer]?.rows
}

function checkViews(plan: Plan, op: PlanOp, fail: Fail): void {
  const out = writeOf(op)
  for (const view of out ? [...readsOf(op), out] : readsOf(op)) {
    const buffer = plan.buffers[view.buffer]
    if (needsTokenRows.has(op.op) && buffer?.rows !== 'T') fail('needs T rows')
    if (!buffer) fail(`no buffer b${view.buffer}`)
    else if (!(view.begin >= 0 && view.begin < view.end && view.end <= buffer.width)) {
      fail(`columns ${view.begin}:${view.end} of b${view.buffer}, which has ${buffer.width}`)
    }
  }
  if (!out) return
  const inPlace = inPlaceOperandsOf(op)
  for (const read of readsOf(op)) {
    const same = read.begin === out.begin && read.end === out.end
    if (overlaps(read, out) && !(same && inPlace.includes(read))) {
      fail(`the output overlaps an input in b${out.buffer}`)
    }
    const isSelect = op.op === 'select_rows' || op.op === 'mean_rows'
    if ((rowsOf(plan, read) === rowsOf(plan, out)) === isSelect) {
      fail(`reads ${rowsOf(plan, read)} rows and writes ${rowsOf(plan, out)} rows`)
    }
  }
}

/** These know the tokens, positions or sequences of the batch. */
const needsTokenRows: ReadonlySet<PlanOp['op']> = new Set([
  'embed',
  'rope',
  'norm_rope',
  'kv_write',
  'attention',
])

function checkShapes(plan: Plan, op: PlanOp, fail: Fail): void {
  const weight = (index: number, rows: number | undefined, cols: number) => {
    const found = plan.weights[index]
    if (!found) return fail(`no weight w${index}`)
    if ((rows !== undefined && found.rows !== rows) || found.cols !== cols) {
      fail(`${found.name} is [${found.rows}, ${found.cols}], needs [${rows ?? 'any'}, ${cols}]`)
    }
    return found.rows
  }
  const norm = ({ weight: w, eps }: PlanNorm, cols: number) => {
    if (w !== 'one') weight(w, 1, cols)
    if (!(eps > 0)) fail(`eps ${eps}`)
  }
  const equal = (what: string, a: number, b: number) => {
    if (a !== b) fail(`${what}: ${a} and ${b}`)
  }
  const headSize = (view: View, heads: number) => {
    if (!(heads >= 1 && Number.isInteger(width(view) / heads))) {
      fail(`${heads} heads of a width of ${width(view)}`)
    }
    return width(view) / heads
  }
  const ropeSize = (index: number, size: number) => {
    const rope = plan.ropes[index] ?? fail(`no rope r${index}`)
    if (rope.dim > size) fail(`rope of ${rope.dim} columns over heads of ${size}`)
    equal('rope frequencies', rope.invFreq.length * 2, rope.dim)
  }
  const kv = (group: number, layer: number) => {
    const found = plan.groups[group] ?? fail(`no group ${group}`)
    if (!(layer >= 0 && layer < found.layers)) fail(`no layer ${layer} in group ${group}`)
    return found
  }
  switch (op.op) {
    case 'embed':
      weight(op.weight, plan.weights[op.weight]?.rows, width(op.out))
      break
    case 'linear': {
      const sizes = op.weights.map(w => weight(w, undefined, width(op.in)))
      equal('biases', op.biases.length, op.weights.length)
      op.biases.forEach((bias, i) => {
        if (bias !== undefined) weight(bias, 1, sizes[i] ?? 0)
      })
      equal(
        'output width',
        width(op.out),
        sizes.reduce((sum, size) => sum + size, 0),
      )
      if (op.norm) norm(op.norm, width(op.in))
      if (op.residual) equal('residual', width(op.residual), width(op.out))
      break
    }
    case 'gated_linear':
      weight(op.gate, width(op.out), width(op.in))
      weight(op.up, width(op.out), width(op.in))
      if (op.norm) norm(op.norm, width(op.in))
      break
    case 'rms_norm':
      norm(op.norm, headSize(op.in, op.heads))
      equal('width', width(op.in), width(op.out))
      if (op.residual) equal('residual', width(op.residual), width(op.out))
      if (op.scale !== undefined) weight(op.scale, 1, 1)
      break
    case 'norm_rope':
    case 'rope':
      if (op.op === 'norm_rope') norm(op.norm, headSize(op.in, op.heads))
      ropeSize(op.rope, headSize(op.in, op.heads))
      equal('width', width(op.in), width(op.out))
      break
    case 'kv_write': {
      const group = kv(op.group, op.layer)
      equal('keys', width(op.k), group.kvHeads * group.headDim)
      equal('values', width(op.v), group.kvHeads * group.headDim)
      break
    }
    case 'attention': {
      const group = kv(op.group, op.layer)
      equal('head size', headSize(op.q, op.heads), group.headDim)
      equal('heads by group', op.heads % group.kvHeads, 0)
      equal('width', width(op.q), width(op.out))
      break
    }
    case 'add':
      equal('width', width(op.a), width(op.b))
      equal('width', width(op.a), width(op.out))
      break
    case 'act_mul':
      equal('width', width(op.gate), width(op.up))
      equal('width', width(op.gate), width(op.out))
      break
    case 'scale':
      weight(op.weight, 1, 1)
      equal('width', width(op.in), width(op.out))
      break
    case 'softcap':
    case 'select_rows':
    case 'mean_rows':
      equal('width', width(op.in), width(op.out))
      break
  }
}

/** Every column read was written before, every cache read too, and the logits are complete. */
function checkDataFlow(plan: Plan): void {
  const written: View[][] = plan.buffers.map(() => [])
  const cached = new Set<string>()
  const need = (view: View, what: string) => {
    if (!covers(written[view.buffer] ?? [], view)) {
      const shown = `b${view.buffer}[${view.begin}:${view.end}]`
      throw new PlanError(`${what} reads ${shown} before it is written`)
    }
  }
  plan.ops.forEach((op, index) => {
    for (const view of readsOf(op)) need(view, `op ${index} (${op.op})`)
    const out = writeOf(op)
    if (out && !covers(written[out.buffer] ?? [], out)) written[out.buffer]?.push(out)
    if (op.op === 'kv_write') cached.add(`${op.group}/${op.layer}`)
    if (op.op === 'attention' && !cached.has(`${op.group}/${op.layer}`)) {
      throw new PlanError(
        `op ${index} (attention): layer ${op.layer} of group ${op.group} is not written`,
      )
    }
  })
  const { kind, buffer } = plan.result
  const result = plan.buffers[buffer]
  const columns = kind === 'logits' ? plan.vocab : (result?.width ?? 0)
  if (result?.rows !== 'L' || result.width !== columns) {
    throw new PlanError(`${kind} b${buffer} is not [L, ${columns}]`)
  }
  need({ buffer, begin: 0, end: columns }, kind)
}

/** Whether the parts, together, hold every column of the view. */
function covers(parts: readonly View[], view: View): boolean {
  let column = view.begin
  while (column < view.end) {
    const next = Math.max(...parts.filter(part => part.begin <= column).map(part => part.end))
    if (!(next > column)) return false
    column = next
  }
  return true
}

/** Buffers whose uses interleave must not share memory. */
function checkMemory(plan: Plan): void {
  plan.buffers.forEach(({ at }, i) => {
    if (at % 16 !== 0) throw new PlanError(`buffer b${i} is at ${at}, not a multiple of 16`)
  })
  const spans = plan.buffers.map(() => ({ first: Number.POSITIVE_INFINITY, last: -1 }))
  plan.ops.forEach((op, index) => {
    const out = writeOf(op)
    for (const { buffer } of out ? [...readsOf(op), out] : readsOf(op)) {
      const span = spans[buffer]
      if (!span) continue
      span.first = Math.min(span.first, index)
      span.last = index
    }
  })
  const result = spans[plan.result.buffer]
  if (result) result.last = plan.ops.length
  plan.buffers.forEach((a, i) => {
    plan.buffers.forEach((b, j) => {
      const [x, y] = [spans[i], spans[j]]
      if (j <= i || a.rows !== b.rows || !x || !y) return
      const together = x.first <= y.last && y.first <= x.last
      if (together && a.at < b.at + b.width && b.at < a.at + a.width) {
        throw new PlanError(`buffers b${i} and b${j} share memory while both are in use`)
      }
    })
  })
}

function overlaps(a: View, b: View): boolean {
  return a.buffer === b.buffer && a.begin < b.end && b.begin < a.end
}
