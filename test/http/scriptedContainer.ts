// A container with the scripted engine in a process of its own, to be killed. Tells its parent its port, and what it holds.
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { listen } from '../../runtime/host/listen.ts'

const secret = process.env.TEST_SECRET
const engine = createScriptedEngine({
  stepDelayMs: 5,
  reply: prompt => (prompt.includes('endless') ? 'and on '.repeat(3000) : 'hello'),
})
const app = createContainerApp(new DetachedJobs(engine), {
  limits: { maxBodyBytes: 50_000 },
  onInternalError: console.error,
  ...(secret !== undefined && { secret }),
})
const listener = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'edges' })
process.on('message', () => {
  const { numConnections, numRequests } = listener
  process.send?.({ connections: numConnections, requests: numRequests, jobs: engine.numActive })
})
process.send?.({ port: listener.port })
