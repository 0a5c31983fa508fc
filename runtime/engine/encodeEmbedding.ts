/**
 * The first `dimensions` numbers of a vector, scaled to length 1: little-endian float32 as base64. A vector of zeros stays
 * one.
 */
export function encodeEmbedding(vector: Float32Array, dimensions: number): string {
  const cut = vector.subarray(0, dimensions)
  const norm = Math.sqrt(cut.reduce((sum, x) => sum + x * x, 0)) || 1
  const bytes = Buffer.alloc(4 * cut.length)
  cut.forEach((x, i) => {
    bytes.writeFloatLE(x / norm, 4 * i)
  })
  return bytes.toString('base64')
}
