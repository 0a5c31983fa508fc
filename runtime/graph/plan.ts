import type { Activation, Rows } from './ir.ts'
import type { KvGroup } from './kvGroups.ts'

/** Version of the plan language of docs/plan.md. */
export const planVersion = 1

/** Columns begin .. end-1 of a buffer. */
export interface View {
  buffer: number
  begin: number
  end: number
}

export interface PlanBuffer {
  rows: Rows
  width: number
  /** Float offset in the arena of its rows, in units of one row. */
  at: number
}

export interface PlanWeight {
  name: string
  rows: number
  cols: number
}

export interface CompiledWeight extends PlanWeight {
  /** Operand of a linear op, so it may be quantized. */
  linear: boolean
}

export interface PlanRope {
  dim: number
  factor: number
  invFreq: Float32Array
}

/** Weight index, or `one`: no weight. */
export interface PlanNorm {
  weight: number | 'one'
  eps: number
  offset: 0 | 1
}

/** Ops of docs/plan.md; weights, ropes and groups by index. */
export type PlanOp =
  | { op: 'embed'; out: View; weight: number; scale: number }
  | {
      op: 'linear'
      in: View
      out: View
      weights: number[]
      biases: (number | undefined)[]
      norm?: PlanNorm
      residual?: View
    }
  | {
      op: 'gated_linear'
      in: View
      out: View
      gate: number
      up: number
      act: Activation
      norm?: PlanNorm
    }
  | {
      op: 'rms_norm'
      in: View
      out: View
      norm: PlanNorm
      heads: number
      residual?: View
      scale?: number
    }
  | { op: 'rope'; in: View; out: View; rope: number; heads: number }
  | { op: 'norm_rope'; in: View; out: View; norm: PlanNorm; rope: number; heads: number }
  | { op: 'kv_write'; k: View; v: View; group: number; layer: number }
  | {
      op: 'attention'
      q: View
      out: View
      group: number
      layer: number
      heads: number
      scale: number
      softcap: number
      /** false: sees later keys of its sequence too. */
      causal: boolean
    }
  | { op: 'add'; a: View; b: View; out: View; scale: number }
  | { op: 'scale'; in: View; out: View; weight: number }
  | { op: 'act_mul'; gate: View; up: View; out: View; act: Activation }
  | { op: 'softcap'; in: View; out: View; cap: number }
  | { op: 'select_rows'; in: View; out: View }
  | { op: 'mean_rows'; in: View; out: View }

/** Everything native code needs to run a model, short of the weights' bytes (docs/plan.md). */
export interface Plan {
  vocab: number
  groups: KvGroup[]
  ropes: PlanRope[]
  weights: PlanWeight[]
  buffers: PlanBuffer[]
  ops: PlanOp[]
  /** The buffer that holds the result, and what that is: logits are [L, vocab], hidden states [L, any]. */
  result: { kind: 'logits' | 'hidden'; buffer: number }
}

/** Views an op reads. */
export function readsOf(op: PlanOp): View[] {
  const residual = 'residual' in op && op.residual ? [op.residual] : []
  switch (op.op) {
    case 'embed':
      return []
    case 'kv_write':
      return [op.k, op.v]
    case 'attention':
      return [op.q]
    case 'add':
      return [op.a, op.b]
    case 'act_mul':
      return [op.gate, op.up]
    default:
      return [op.in, ...residual]
  }
}

/** The view an op writes. */
export function writeOf(op: PlanOp): View | undefined {
  return op.op === 'kv_write' ? undefined : op.out
}

/** Operands that may be the very view the op writes. */
export function inPlaceOperandsOf(op: PlanOp): View[] {
  switch (op.op) {
    case 'linear':
      return op.residual ? [op.residual] : []
    case 'rms_norm':
      return op.residual ? [op.in, op.residual] : [op.in]
    case 'rope':
    case 'norm_rope':
    case 'scale':
    case 'softcap':
      return [op.in]
    case 'add':
      return [op.a]
    case 'act_mul':
      return [op.gate]
    default:
      return []
  }
}
