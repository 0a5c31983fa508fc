import { expect, test } from 'vitest'
import { bundleForBrowser } from '../../scripts/browserBundle.ts'

test('the edge bundles for a platform without Node', async () => {
  const code = await bundleForBrowser(new URL('../../edge/app.ts', import.meta.url))
  expect(code).not.toMatch(/\bnode:|\brequire\(|__vite-browser-external/)
  expect(code).not.toMatch(/\bprocess\.|\bBuffer\.(from|alloc)/)
})
