import { type Plan, type PlanNorm, type PlanOp, planVersion, type View } from './plan.ts'

/** The plan as text in the language of docs/plan.md, one statement a line. */
export function printPlan(plan: Plan): string {
  const view = (v: View) =>
    v.begin === 0 && v.end === plan.buffers[v.buffer]?.width
      ? `b${v.buffer}`
      : `b${v.buffer}[${v.begin}:${v.end}]`
  const lines = [
    `plan ${planVersion}`,
    `vocab ${plan.vocab}`,
    ...plan.groups.map((group, i) => {
      const window = group.window === undefined ? '' : ` window=${group.window}`
      return `group ${i} kind=${group.kind}${window} kv_heads=${group.kvHeads} head_dim=${group.headDim} layers=${group.layers} page_tokens=${group.pageTokens}`
    }),
    ...plan.ropes.map(({ dim, factor, invFreq }, i) => {
      return `rope r${i} dim=${dim} factor=${float(factor)} inv_freq=${Array.from(invFreq, float).join(',')}`
    }),
    ...plan.weights.map(
      ({ name, rows, cols }, i) => `weight w${i} rows=${rows} cols=${cols} name=${name}`,
    ),
    ...plan.buffers.map(
      ({ rows, width, at }, i) => `buffer b${i} rows=${rows} width=${width} at=${at}`,
    ),
    ...plan.ops.map(op => `op ${op.op} ${fields(op, view).join(' ')}`),
    `${plan.result.kind} b${plan.result.buffer}`,
  ]
  return `${lines.join('\n')}\n`
}

/** Arguments in the order of docs/plan.md. */
function fields(op: PlanOp, view: (v: View) => string): string[] {
  switch (op.op) {
    case 'embed':
      return [`out=${view(op.out)}`, `weight=w${op.weight}`, `scale=${float(op.scale)}`]
    case 'linear':
      return [
        `in=${view(op.in)}`,
        `out=${view(op.out)}`,
        `weights=${op.weights.map(w => `w${w}`).join(',')}`,
        ...(op.biases.every(bias => bias === undefined)
          ? []
          : [`biases=${op.biases.map(b => (b === undefined ? '-' : `w${b}`)).join(',')}`]),
        ...(op.norm ? norm('norm', op.norm) : []),
        ...(op.residual ? [`residual=${view(op.residual)}`] : []),
      ]
    case 'gated_linear':
      return [
        `in=${view(op.in)}`,
        `out=${view(op.out)}`,
        `gate=w${op.gate}`,
        `up=w${op.up}`,
        `act=${op.act}`,
        ...(op.norm ? norm('norm', op.norm) : []),
      ]
    case 'rms_norm':
      return [
        `in=${view(op.in)}`,
        `out=${view(op.out)}`,
        ...norm('weight', op.norm),
        `heads=${op.heads}`,
        ...(op.residual ? [`residual=${view(op.residual)}`] : []),
        ...(op.scale === undefined ? [] : [`scale=w${op.scale}`]),
      ]
    case 'rope':
      return [`in=${view(op.in)}`, `out=${view(op.out)}`, `rope=r${op.rope}`, `heads=${op.heads}`]
    case 'norm_rope':
      return [
        `in=${view(op.in)}`,
        `out=${view(op.out)}`,
        ...norm('weight', op.norm),
        `rope=r${op.rope}`,
        `heads=${op.heads}`,
      ]
    case 'kv_write':
      return [`k=${view(op.k)}`, `v=${view(op.v)}`, `group=${op.group}`, `layer=${op.layer}`]
    case 'attention':
      return [
        `q=${view(op.q)}`,
        `out=${view(op.out)}`,
        `group=${op.group}`,
        `layer=${op.layer}`,
        `heads=${op.heads}`,
        `scale=${float(op.scale)}`,
        `softcap=${float(op.softcap)}`,
        ...(op.causal ? [] : ['causal=0']),
      ]
    case 'add':
      return [
        `a=${view(op.a)}`,
        `b=${view(op.b)}`,
        `out=${view(op.out)}`,
        `scale=${float(op.scale)}`,
      ]
    case 'scale':
      return [`in=${view(op.in)}`, `out=${view(op.out)}`, `weight=w${op.weight}`]
    case 'act_mul':
      return [`gate=${view(op.gate)}`, `up=${view(op.up)}`, `out=${view(op.out)}`, `act=${op.act}`]
    case 'softcap':
      return [`in=${view(op.in)}`, `out=${view(op.out)}`, `cap=${float(op.cap)}`]
    case 'select_rows':
    case 'mean_rows':
      return [`in=${view(op.in)}`, `out=${view(op.out)}`]
  }
}

function norm(key: string, { weight, eps, offset }: PlanNorm): string[] {
  return [
    `${key}=${weight === 'one' ? 'one' : `w${weight}`}`,
    `eps=${float(eps)}`,
    `offset=${offset}`,
  ]
}

/** Shortest decimal that reads back as the same float32. */
export function float(value: number): string {
  const single = Math.fround(value)
  for (let digits = 1; digits < 9; digits++) {
    const text = single.toPrecision(digits)
    if (Math.fround(Number(text)) === single) return String(Number(text))
  }
  return String(Number(single.toPrecision(9)))
}
