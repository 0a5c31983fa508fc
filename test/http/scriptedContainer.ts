// A container with the scripted engine in a process of its own, to be killed. Prints its port.
import { createScriptedEngine } from '../../edge/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { listen } from '../../runtime/host/listen.ts'

const secret = process.env.TEST_SECRET
const app = createContainerApp(createScriptedEngine({ stepDelayMs: 5 }), {
  limits: { maxBodyBytes: 50_000 },
  onInternalError: console.error,
  ...(secret !== undefined && { secret }),
})
const { port } = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'edges' })
console.log(port)
