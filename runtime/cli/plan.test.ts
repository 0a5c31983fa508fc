import { expect, test } from 'vitest'
import { weightsManifest } from './plan.ts'

test('the manifest of weights has a line for each part', () => {
  const part = { path: '/m/a.gguf', offset: 64, bytes: 32, type: 'F16' as const, rows: 2, cols: 8 }
  const manifest = weightsManifest([
    { name: 'norm', rows: 2, cols: 8, parts: [part] },
    {
      name: 'q',
      rows: 4,
      cols: 8,
      parts: [
        { ...part, transforms: [{ kind: 'unpermuteRows', heads: 2 }] },
        { ...part, offset: 96, transforms: [{ kind: 'addScalar', value: 1 }] },
      ],
      quantize: 'Q8_0',
    },
  ])
  expect(manifest.split('\n')).toEqual([
    'norm\t/m/a.gguf\t64\t32\tF16\t2\t8',
    'q\t/m/a.gguf\t64\t32\tF16\t2\t8\tunpermute=2\tquantize=Q8_0',
    'q\t/m/a.gguf\t96\t32\tF16\t2\t8\tadd=1\tquantize=Q8_0',
    '',
  ])
})
