import { expect, test } from 'vitest'
import type { GpuInfo } from '../native.ts'
import { chooseBackend } from './loadEngine.ts'

const gpu: GpuInfo = { name: 'H100', isa: 'sm_90', totalBytes: 1, freeBytes: 1 }

test.each([
  ['a GPU', {}, gpu, 'cuda'],
  ['a GPU the user does not want', { cpu: true }, gpu, 'cpu'],
  ['a GPU, but kernels of the CPU asked for', { isa: 'avx2' }, gpu, 'cpu'],
  ['no GPU', {}, null, 'cpu'],
] as const)('%s', (_, options, found, backend) => {
  expect(chooseBackend(options, { gpuInfo: () => found })).toBe(backend)
})
