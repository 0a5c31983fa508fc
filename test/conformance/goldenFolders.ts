import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
/** Reference data beside the checkout; a clone alone does without. */
export const sharedDir = resolve(root, '../shared')

export interface GoldenFolder {
  name: string
  dir: string
}

/**
 * Model folders with reference outputs that have a file of some name: those in the project, and beside it those of
 * `../shared/fixtures` that are not.
 */
export function goldenFolders(file: string): GoldenFolder[] {
  const folders = new Map<string, string>()
  const fixtures = join(sharedDir, 'fixtures')
  if (!existsSync(fixtures)) console.log(`skipped: ${fixtures} is not there`)
  for (const base of [fixtures, join(root, 'test/goldens')]) {
    for (const name of existsSync(base) ? readdirSync(base) : []) {
      if (existsSync(join(base, name, file))) folders.set(name, join(base, name))
    }
  }
  return [...folders]
    .map(([name, dir]) => ({ name, dir }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
