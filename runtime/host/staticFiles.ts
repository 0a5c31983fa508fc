import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const contentTypes: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
}

/** Where each file of a page is, by the path that clients ask for. Nothing else can be asked for. */
const files: ReadonlyMap<string, string> = new Map([
  ['/docs/swagger-ui.css', packageFile('swagger-ui-dist/swagger-ui.css')],
  ['/docs/swagger-ui-bundle.js', packageFile('swagger-ui-dist/swagger-ui-bundle.js')],
])

/** The static files of this host's pages: `AppDeps.assets`. @throws Error when the installation lacks one */
export async function staticFile(path: string): Promise<Response | undefined> {
  const file = files.get(path)
  if (file === undefined) return undefined
  const type = contentTypes[file.slice(file.lastIndexOf('.') + 1)]
  return new Response(await readFile(file), type ? { headers: { 'content-type': type } } : {})
}

function packageFile(name: string): string {
  return fileURLToPath(import.meta.resolve(name))
}
