import { expect, test } from 'vitest'
import { bundleWorker } from '../../scripts/workerBundle.ts'
import { defineHttpSuite } from './httpSuite.ts'
import { deployOnWorkerd } from './workerdDeployment.ts'

const { code, gzipBytes } = await bundleWorker()

test('the Worker is small', () => {
  expect(gzipBytes).toBeLessThan(300_000)
})

defineHttpSuite('Worker in workerd, container over HTTP/1.1', deployOnWorkerd(code))
