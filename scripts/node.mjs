// `node scripts/node.mjs FILE.ts ARGS`: runs a TypeScript file of the project with the project's Node, set up first.
import { resolve } from 'node:path'
import { root, runChild, runScript, setup } from './setup.mjs'

process.exitCode = await runScript(async () => {
  const [file = '', ...args] = process.argv.slice(2)
  const node = await setup()
  return runChild(node, [resolve(root, file), ...args])
})
