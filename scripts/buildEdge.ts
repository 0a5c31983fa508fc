// `npm run build:edge`: bundles the Worker into build/edge/worker.js and prints its size.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorker } from './workerBundle.ts'

const folder = fileURLToPath(new URL('../build/edge', import.meta.url))
const { code, gzipBytes } = await bundleWorker()
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'worker.js'), code)
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
console.log(
  `${join(folder, 'worker.js')}: ${kilobytes(Buffer.byteLength(code))}, ${kilobytes(gzipBytes)} gzipped`,
)
