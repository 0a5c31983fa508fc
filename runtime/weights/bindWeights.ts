import type { CompiledWeight } from '../graph/plan.ts'
import type { WeightSpec } from '../native.ts'
import { FileFormatError } from './fileFormatError.ts'
import { ggmlTypes } from './ggmlTypes.ts'
import type { SourceWeight, WeightSource } from './weightSource.ts'

type IsqType = NonNullable<WeightSpec['quantize']>

/** In-situ quantization by name: what to try for each linear weight, best first, where its rows divide into blocks. */
const isqTypes = {
  q4k: ['Q4_K', 'Q5_0'],
  q5_0: ['Q5_0'],
  q6k: ['Q6_K', 'Q8_0'],
  q8_0: ['Q8_0'],
} as const satisfies Record<string, readonly IsqType[]>

export type Isq = keyof typeof isqTypes

export interface BoundWeights {
  weights: WeightSpec[]
  /** What in-situ quantization could not do as asked, one line each. */
  messages: string[]
}

/**
 * Finds the bytes of every weight of a plan and decides which are quantized while loading: linear weights, not norms or
 * tables that are only looked up, and only those stored as floats.
 * @throws FileFormatError for a missing weight or one of another shape
 */
export function bindWeights(
  wanted: readonly CompiledWeight[],
  source: WeightSource,
  isq?: Isq,
): BoundWeights {
  const fallbacks = new Map<string, string[]>()
  let alreadyQuantized = 0
  const weights = wanted.map((weight): WeightSpec => {
    const stored = source.get(weight.name)
    checkShape(source, weight, stored)
    const { name, rows, cols } = weight
    const spec: WeightSpec = { name, rows, cols, parts: stored.parts }
    if (!isq || !weight.linear) return spec
    if (!['F32', 'F16', 'BF16'].includes(stored.type)) {
      alreadyQuantized++
      return spec
    }
    const candidates: readonly IsqType[] = isqTypes[isq]
    const type = candidates.find(candidate => cols % ggmlTypes[candidate].blockSize === 0)
    if (type !== candidates[0]) {
      const what = `rows of ${cols} ${type ? `as ${type}` : `left as ${stored.type}`}`
      fallbacks.set(what, [...(fallbacks.get(what) ?? []), name])
    }
    return type ? { ...spec, quantize: type } : spec
  })
  return { weights, messages: isq ? report(isq, fallbacks, alreadyQuantized) : [] }
}

function checkShape(source: WeightSource, wanted: CompiledWeight, stored: SourceWeight): void {
  if (stored.rows === wanted.rows && stored.cols === wanted.cols) return
  throw new FileFormatError(
    stored.parts[0]?.path ?? source.path,
    `tensor "${wanted.name}" is [${stored.rows}, ${stored.cols}], the model needs [${wanted.rows}, ${wanted.cols}]`,
  )
}

function report(isq: Isq, fallbacks: Map<string, string[]>, alreadyQuantized: number): string[] {
  const lines = [...fallbacks].map(([what, names]) => {
    const shown = names.slice(0, 3).join(', ') + (names.length > 3 ? ', …' : '')
    return `--isq ${isq}: ${names.length} weights with ${what} (${shown})`
  })
  if (alreadyQuantized > 0) {
    lines.push(
      `--isq ${isq}: ${alreadyQuantized} weights are quantized already and stay as they are`,
    )
  }
  return lines
}
