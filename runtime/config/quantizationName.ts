import type { GgufValue } from '../weights/ggufValues.ts'

/** `general.file_type` of GGUF files whose mix of types has a name of its own (llama.cpp `enum llama_ftype`). */
const mixes = new Map<GgufValue, string>([
  [11, 'q3_k_s'],
  [12, 'q3_k_m'],
  [13, 'q3_k_l'],
  [14, 'q4_k_s'],
  [15, 'q4_k_m'],
  [16, 'q5_k_s'],
  [17, 'q5_k_m'],
])

/** Display name: the named mix, else the stored type that takes most bytes. */
export function quantizationName(types: ReadonlyMap<string, number>, fileType?: GgufValue): string {
  const mix = fileType === undefined ? undefined : mixes.get(fileType)
  if (mix) return mix
  const [largest] = [...types].sort(([, a], [, b]) => b - a)
  return largest?.[0].toLowerCase() ?? 'unknown'
}
