/** Where in a plan the residual stream enters or leaves a layer. */
export interface Probe {
  /** Last op before the stream is read. */
  op: number
  buffer: string
}

/**
 * Finds the input of the first op that reads a weight (as operand or norm), or of `select_rows` where the plan has no
 * such weight.
 */
export function probeBefore(plan: string, weightName: string): Probe {
  const lines = plan.split('\n')
  const ops = lines.filter(line => line.startsWith('op '))
  const declared = lines.find(line => line.endsWith(` name=${weightName}`))
  const id = declared?.split(' ')[1]
  const reads = (line: string) =>
    id === undefined ? line.startsWith('op select_rows ') : new RegExp(`[=,]${id}\\b`).test(line)
  const index = ops.findIndex(reads)
  const buffer = /\bin=(b\d+)/.exec(ops[index] ?? '')?.[1]
  if (buffer === undefined) throw new Error(`no op of the plan reads ${weightName}`)
  return { op: index - 1, buffer }
}
