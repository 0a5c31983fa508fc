// `npm run setup`: sets up what is missing and stops there.
import { fetchDefaultModel, runScript, setup } from './setup.mjs'

process.exitCode = await runScript(async () => {
  // Without the demo model everything else still works; the reason has been printed.
  const hasModel = fetchDefaultModel(await setup())
  if (hasModel) console.log('Ready: `npm start` serves the demo model.')
  console.log('`npx mistralrs --help` shows what there is.')
  return 0
})
