import { loadNative } from '../../runtime/loadNative.ts'
import type { Backend } from '../../runtime/native.ts'

/** The backends that can be tested here; says what is left out. */
export function testedBackends(): Backend[] {
  if (loadNative().gpuInfo()) return ['reference', 'cpu', 'cuda']
  console.log('skipped: the cuda backend (no device, or a build without nvcc)')
  return ['reference', 'cpu']
}
