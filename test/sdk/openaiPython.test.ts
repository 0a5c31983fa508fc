import { expect, test } from 'vitest'
import { runPythonChecks } from './pythonChecks.ts'

test('openai for Python', async ({ skip }) => {
  const names = await runPythonChecks('openai', server => `${server.origin}/v1`)
  if (names === undefined) return skip()
  expect(names).toHaveLength(12)
})
