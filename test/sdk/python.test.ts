import { expect, test } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { listenScripted } from '../http/nodeServer.ts'
import { runPythonChecks } from './pythonChecks.ts'
import { scriptedAssistant } from './scriptedAssistant.ts'

const { id } = scriptedModel
const assistant = {
  events: scriptedAssistant,
  models: [{ ...scriptedModel, embeddingSize: 8 }],
}
/** Importing a client takes seconds on a busy machine. */
const timeout = 90_000

test.for([
  { script: 'openai_python', base: '/v1', engine: {}, args: [id], numChecks: 12 },
  { script: 'openai_helpers', base: '/v1', engine: assistant, args: [id, id], numChecks: 5 },
  { script: 'anthropic_python', base: '', engine: {}, args: [id], numChecks: 5 },
  { script: 'anthropic_helpers', base: '', engine: assistant, args: [id], numChecks: 3 },
])('$script', { timeout }, async ({ script, base, engine, args, numChecks }, { skip }) => {
  const server = await listenScripted({ engine })
  try {
    const names = await runPythonChecks(script, `${server.origin}${base}`, ...args)
    if (names === undefined) return skip()
    expect(names).toHaveLength(numChecks)
  } finally {
    await server.close()
  }
})
