import { gzipSync } from 'node:zlib'
import { bundleForBrowser } from './browserBundle.ts'

/** Bundles the Worker into one module. @throws Error when it needs anything from outside */
export async function bundleWorker(): Promise<{ code: string; gzipBytes: number }> {
  const code = await bundleForBrowser(new URL('../edge/worker.ts', import.meta.url))
  return { code, gzipBytes: gzipSync(code).length }
}
