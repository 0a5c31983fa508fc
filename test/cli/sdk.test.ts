import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_MODEL } from '../../runtime/hub/defaultModel.ts'
import { openaiChecks } from '../sdk/openaiChecks.ts'
import { responsesChecks } from '../sdk/responsesChecks.ts'
import { hasDefaultModel, type RunningServer, startServer, tinyModel } from './command.ts'

const python = process.env.PYTHON ?? 'python3'
const pythonChecks = fileURLToPath(new URL('../sdk/openai_python.py', import.meta.url))
const run = promisify(execFile)

/** Everything the official clients must be able to do, in order, against one server. */
function describeClients(getServer: () => RunningServer, model: string): void {
  for (const { name, run } of [...openaiChecks, ...responsesChecks]) {
    test(`openai for Node: ${name}`, () => {
      const baseURL = `${getServer().origin}/v1`
      return run(new OpenAI({ baseURL, apiKey: 'EMPTY', maxRetries: 0 }), model)
    })
  }

  test('openai for Python', async ({ skip }) => {
    try {
      await run(python, ['-c', 'import openai'])
    } catch {
      console.log(`skipped: ${python} cannot import openai; \`npm test\` installs it`)
      return skip()
    }
    const { stdout } = await run(python, [pythonChecks, `${getServer().origin}/v1`, model])
    expect(stdout.match(/^ok /gm)).toHaveLength(12)
  })
}

describe('a tiny model', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer(['-m', tinyModel])
  })
  afterAll(() => server.end('SIGKILL'))
  describeClients(() => server, tinyModel)
})

describe.skipIf(!hasDefaultModel())('npm start', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer([], ['npm', 'start', '--'])
  })

  test('says that this is a demo, and how to use a real model', () => {
    const notice = /INFO mistralrs: (.* is a small demo model .*)\n/.exec(server.stdout)?.[1]
    expect(notice).toContain(DEFAULT_MODEL.id)
    expect(notice).toContain('-m organisation/name')
  })

  describeClients(() => server, DEFAULT_MODEL.id)

  test("the tutorial's question gets a sane answer, whatever the seed", async () => {
    const client = new OpenAI({ baseURL: `${server.origin}/v1`, apiKey: 'EMPTY' })
    const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }]
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { choices } = await client.chat.completions.create({ model: 'default', messages })
        return choices[0]?.message.content ?? ''
      }),
    )
    for (const answer of answers) expect(answer).toMatch(/^[A-Z][^\n]{0,80}\bParis\b[^\n]{0,40}\.$/)
  })

  test('ends with 0 when npm is told to stop', async () => {
    expect((await server.end('SIGTERM')).code).toBe(0)
  })
})
