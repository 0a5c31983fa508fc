import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const entry = fileURLToPath(new URL('../edge/worker.ts', import.meta.url))

/** Bundles the Worker into one module for a platform without Node. @throws Error when it needs anything from outside */
export async function bundleWorker(): Promise<{ code: string; gzipBytes: number }> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2024',
      // Nothing is left out: a missing module fails the build instead of becoming an import.
      lib: { entry, formats: ['es'], fileName: 'worker' },
      rolldownOptions: { platform: 'browser', external: [] },
    },
  })
  const [bundle] = Array.isArray(result) ? result : [result]
  if (bundle === undefined || !('output' in bundle)) throw new Error('nothing was built')
  const [{ code, imports }] = bundle.output
  if (imports.length > 0) throw new Error(`the Worker imports ${imports.join(', ')}`)
  return { code, gzipBytes: gzipSync(code).length }
}
