/** Samples in a few numbers. */
export interface Summary {
  mean: number
  /** Of the sample (n - 1); 0 for a single value. */
  stddev: number
  min: number
  p50: number
  p90: number
  p99: number
  max: number
}

/**
 * Summarizes at least one value.
 * Percentiles interpolate between neighbours: rank p * (n - 1), as numpy's default does.
 */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b)
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const at = (share: number) => {
    const rank = share * (sorted.length - 1)
    const low = sorted[Math.floor(rank)] ?? Number.NaN
    const high = sorted[Math.ceil(rank)] ?? Number.NaN
    return low + (high - low) * (rank - Math.floor(rank))
  }
  return {
    mean,
    stddev: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0,
    min: at(0),
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
  }
}
