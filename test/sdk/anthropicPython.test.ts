import { expect, test } from 'vitest'
import { runPythonChecks } from './pythonChecks.ts'

test('anthropic for Python', async ({ skip }) => {
  const names = await runPythonChecks('anthropic', server => server.origin)
  if (names === undefined) return skip()
  expect(names).toHaveLength(5)
})
