import type { Sequence } from './sequence.ts'

/**
 * Divides a step's prefill tokens among the sequences that have some left: half of them to the oldest, so that a long
 * prompt always advances, the rest to the shortest first, so that a short prompt does not wait behind a long one; what
 * is left over goes to the oldest again.
 * @param prefills in order of arrival
 * @returns tokens for each, in the same order
 */
export function sharePrefill(prefills: readonly Sequence[], budget: number): number[] {
  const shares = prefills.map(() => 0)
  const oldest = prefills[0]
  if (oldest === undefined || budget <= 0) return shares
  let left = budget
  const give = (index: number, upTo: number) => {
    const remaining = (prefills[index]?.remaining ?? 0) - (shares[index] ?? 0)
    const given = Math.min(remaining, upTo, left)
    shares[index] = (shares[index] ?? 0) + given
    left -= given
  }
  give(0, Math.ceil(budget / 2))
  const byRemaining = prefills
    .map((sequence, index) => ({ index, remaining: sequence.remaining }))
    .sort((a, b) => a.remaining - b.remaining)
  for (const { index } of byRemaining) if (index !== 0) give(index, left)
  give(0, left)
  return shares
}
