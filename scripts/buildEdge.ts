// `npm run build:edge`: bundles the Worker into build/edge/worker.js, prints its size, and copies its pages' files beside.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyWorkerAssets } from './workerAssets.ts'
import { bundleWorker } from './workerBundle.ts'

const folder = fileURLToPath(new URL('../build/edge', import.meta.url))
const { code, gzipBytes } = await bundleWorker()
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'worker.js'), code)
copyWorkerAssets()
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
console.log(
  `${join(folder, 'worker.js')}: ${kilobytes(Buffer.byteLength(code))}, ${kilobytes(gzipBytes)} gzipped`,
)
