import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { expect, test } from 'vitest'

const entry = fileURLToPath(new URL('../../edge/app.ts', import.meta.url))

test('the edge bundles for a platform without Node', async () => {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2024',
      // Nothing is left out: a missing module fails the build instead of becoming an import.
      lib: { entry, formats: ['es'], fileName: 'app' },
      rolldownOptions: { platform: 'browser', external: [] },
    },
  })
  const [bundle] = Array.isArray(result) ? result : [result]
  if (bundle === undefined || !('output' in bundle)) throw new Error('nothing was built')
  const [{ code, imports }] = bundle.output
  expect(imports).toEqual([])
  expect(code).not.toMatch(/\bnode:|\brequire\(|__vite-browser-external/)
  expect(code).not.toMatch(/\bprocess\.|\bBuffer\.(from|alloc)/)
})
