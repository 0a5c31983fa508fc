import { afterAll, beforeAll, describe, test } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { listenScripted } from '../http/nodeServer.ts'
import { embeddingChecks, generatingChecks, runnerChecks } from './allChecks.ts'
import { scriptedAssistant } from './scriptedAssistant.ts'

let server: Awaited<ReturnType<typeof listenScripted>>
beforeAll(async () => {
  const models = [{ ...scriptedModel, embeddingSize: 8 }]
  server = await listenScripted({ engine: { events: scriptedAssistant, models } })
})
afterAll(() => server.close())

describe.each([...generatingChecks, ...runnerChecks, ...embeddingChecks])('%s', (_, checks) => {
  test.each(checks)('$name', ({ run }) => run({ origin: server.origin, model: scriptedModel.id }))
})
