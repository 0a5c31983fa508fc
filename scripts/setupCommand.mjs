// `npm run setup`: sets up what is missing and stops there.
import { runScript, setup } from './setup.mjs'

await runScript(async () => {
  await setup()
  console.log('Ready: `npm start` serves the demo model, `npx mistralrs --help` shows the rest.')
  return 0
})
