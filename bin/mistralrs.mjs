#!/usr/bin/env node
// The command of a checkout. Runs on any Node: finds one that is new enough, then runs the TypeScript with it.
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = join(dirname(realpathSync(fileURLToPath(import.meta.url))), '..')
const main = join(root, 'runtime', 'cli', 'main.ts')

if (!existsSync(join(root, 'node_modules', '.mistralrs-lock'))) {
  process.stderr.write(
    'Error: not set up yet. Run `npm start` or `npm run setup` once in the checkout.\n',
  )
  process.exit(1)
}
const { nodeBinary, runChild, runScript } = await import('../scripts/setup.mjs')
process.exit(
  await runScript(async () => {
    const node = nodeBinary()
    if (node !== process.execPath) return runChild(node, [main, ...process.argv.slice(2)])
    const command = await import(pathToFileURL(main).href)
    return command.main(process.argv.slice(2))
  }),
)
