import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadNative } from '../../runtime/loadNative.ts'
import { compareOps, planRun } from './compareOps.ts'

const goldens = path.join(import.meta.dirname, '../goldens')
const families = ['embedding-gemma', 'gemma3', 'gemma4-e4b', 'gguf-q4_k_s', 'llama', 'qwen3']
const hasTool = existsSync(planRun)
if (!hasTool) console.log('skipped: build/native/plan_run is missing (npm run build)')
const gpu = hasTool ? loadNative().gpuInfo() : null
if (hasTool && !gpu)
  console.log('skipped: ops on the cuda backend (no device, or a build without nvcc)')

const model = (family: string) => {
  const folder = path.join(goldens, family)
  return family.startsWith('gguf') ? path.join(folder, 'model.gguf') : folder
}

describe.skipIf(!hasTool)('every op against the reference', () => {
  it.each(['gemma3', 'embedding-gemma'])(
    '%s on the CPU',
    async family => {
      const options = { backend: 'cpu', kvType: 'f32', tolerance: 1e-4 } as const
      expect(await compareOps(model(family), options)).toMatch(/attention=.* ok$/m)
    },
    60_000,
  )

  it('says which op is too far off', async () => {
    const options = { backend: 'cpu', kvType: 'f32', tolerance: 1e-12 } as const
    await expect(compareOps(model('llama'), options)).rejects.toThrow(
      /batch 0, op \d+ \(\w+\): distance/,
    )
  }, 60_000)

  // 11 bits of activations, keys and values; a row of small logits shows many times as much. The gates of gemma4-e4b, small
  // numbers too, do not keep to it on an H100: 0.0207.
  it.skipIf(!gpu).each(families)(
    '%s on the GPU',
    async family => {
      for (const kvType of ['f16', 'f32'] as const) {
        const options = { backend: 'cuda', kvType, tolerance: 0.02 } as const
        expect(await compareOps(model(family), options)).toMatch(/attention=.* ok$/m)
      }
    },
    120_000,
  )
})
