import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { scriptedModel } from '../../edge/scriptedEngine.ts'
import { listenScripted } from '../http/nodeServer.ts'

const python = process.env.PYTHON ?? 'python3'
const script = fileURLToPath(new URL('openai_python.py', import.meta.url))
const run = promisify(execFile)

test('openai for Python', async ({ skip }) => {
  const version = await run(python, ['-c', 'import openai; print(openai.__version__)']).catch(
    () => {
      console.log(`skipped: ${python} cannot import openai; set PYTHON to one that can`)
      return undefined
    },
  )
  if (version === undefined) return skip()
  const server = await listenScripted()
  try {
    const { stdout } = await run(python, [script, `${server.origin}/v1`, scriptedModel.id])
    expect(stdout.match(/^ok /gm)).toHaveLength(9)
  } finally {
    await server.close()
  }
})
