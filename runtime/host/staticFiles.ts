import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** Where each file of a page is on this machine, by the path that clients ask for. Nothing else can be asked for. */
export const staticFiles: ReadonlyMap<string, string> = new Map([
  ['/docs/swagger-ui.css', packageFile('swagger-ui-dist/swagger-ui.css')],
  ['/docs/swagger-ui-bundle.js', packageFile('swagger-ui-dist/swagger-ui-bundle.js')],
])

/** The static files of this host's pages: `AppDeps.assets`. @throws Error when the installation lacks one */
export async function staticFile(path: string): Promise<Response | undefined> {
  const file = staticFiles.get(path)
  return file === undefined ? undefined : new Response(await readFile(file))
}

function packageFile(name: string): string {
  return fileURLToPath(import.meta.resolve(name))
}
