import { expect, test } from 'vitest'
import { docsAssets } from '../../edge/openapi/docsPage.ts'
import { staticFile } from './staticFiles.ts'

test.each(Object.keys(docsAssets))('%s is there', async path => {
  const text = await (await staticFile(path))?.text()
  expect(text?.length).toBeGreaterThan(100_000)
})

test.each([
  '/docs/index.html',
  '/docs/../package.json',
  '/docs/swagger-ui.css/../index.html',
  '/docs/%2e%2e/package.json',
  'swagger-ui.css',
  '/__proto__',
  '',
])('%j is not', async path => {
  expect(await staticFile(path)).toBeUndefined()
})
