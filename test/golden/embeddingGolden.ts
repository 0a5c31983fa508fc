import type { Bars, Comparison } from './compareGolden.ts'
import type { EmbeddingGolden } from './goldenFile.ts'
import type { NativeSession } from './nativeSession.ts'

/** Compares the embedding of every text of a golden: `worst` and `rms` are distances of the normalized vectors. */
export async function compareEmbeddings(
  golden: EmbeddingGolden,
  session: NativeSession,
  bars: Bars,
): Promise<Comparison> {
  const none = { equal: 0, of: 0 }
  const result: Comparison = {
    worst: 0,
    rms: 0,
    greedy: none,
    chat: none,
    argmax: none,
    failures: [],
  }
  for (const { text, input_ids, embedding } of golden.cases) {
    const vector = normalized(await session.lastLogits(input_ids))
    const differences = embedding.map((x, i) => Math.abs(x - (vector[i] ?? Number.NaN)))
    const distance = Math.hypot(...differences)
    // NaN must not hide behind a comparison.
    result.worst = Math.max(distance, result.worst)
    result.rms = Math.max(distance / Math.sqrt(embedding.length), result.rms)
    if (vector.length !== embedding.length || !(distance <= (bars.worst ?? bars.rms ?? 0))) {
      result.failures.push(`"${text.slice(0, 30)}": distance ${distance.toExponential(1)}`)
    }
  }
  return result
}

function normalized(vector: Float32Array): number[] {
  const norm = Math.hypot(...vector)
  return Array.from(vector, x => x / norm)
}
