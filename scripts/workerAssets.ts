import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { staticFiles } from '../runtime/host/staticFiles.ts'

/** Copies the static files of the Worker's pages to where wrangler.toml looks for them. @returns that folder */
export function copyWorkerAssets(): string {
  const folder = fileURLToPath(new URL('../build/edge/assets', import.meta.url))
  for (const [path, file] of staticFiles) {
    const target = join(folder, path)
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(file, target)
  }
  return folder
}
