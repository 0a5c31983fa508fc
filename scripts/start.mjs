// `npm start [-- FLAGS]`: sets up what is missing, then `mistralrs serve FLAGS`.
import { join } from 'node:path'
import { root, runChild, runScript, setup } from './setup.mjs'

process.exitCode = await runScript(async () => {
  const node = await setup()
  return runChild(node, [
    join(root, 'runtime', 'cli', 'main.ts'),
    'serve',
    ...process.argv.slice(2),
  ])
})
