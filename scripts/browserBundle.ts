import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

/** Bundles a module and all it imports into one, for a platform without Node. @throws Error when it needs anything from outside */
export async function bundleForBrowser(entry: URL): Promise<string> {
  const path = fileURLToPath(entry)
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2024',
      // Nothing is left out: a missing module fails the build instead of becoming an import.
      lib: { entry: path, formats: ['es'], fileName: basename(path, '.ts') },
      rolldownOptions: {
        platform: 'browser',
        external: [],
        output: { codeSplitting: false },
      },
    },
  })
  const [bundle] = Array.isArray(result) ? result : [result]
  if (bundle === undefined || !('output' in bundle)) throw new Error('nothing was built')
  const [{ code, imports }] = bundle.output
  if (imports.length > 0) throw new Error(`${path} imports ${imports.join(', ')}`)
  return code
}
