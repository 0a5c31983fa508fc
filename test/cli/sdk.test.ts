import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_MODEL } from '../../runtime/hub/defaultModel.ts'
import { embeddingChecks, generatingChecks } from '../sdk/allChecks.ts'
import { openaiChecks } from '../sdk/openaiChecks.ts'
import { runPythonChecks } from '../sdk/pythonChecks.ts'
import { responsesChecks } from '../sdk/responsesChecks.ts'
import type { SdkCheck } from '../sdk/sdkCheck.ts'
import { goldens, hasDefaultModel, type RunningServer, startServer } from './command.ts'

const timeout = 90_000

/** What the official clients must be able to do with any text, in order, against one server. */
function describeClients(getServer: () => RunningServer, model: string): void {
  for (const { name, run } of [...openaiChecks, ...responsesChecks]) {
    test(`openai for Node: ${name}`, () => {
      const baseURL = `${getServer().origin}/v1`
      return run(new OpenAI({ baseURL, apiKey: 'EMPTY', maxRetries: 0 }), model)
    })
  }

  test('openai for Python', { timeout }, async ({ skip }) => {
    const names = await runPythonChecks('openai_python', `${getServer().origin}/v1`, model)
    if (names === undefined) return skip()
    expect(names).toHaveLength(12)
  })
}

function describeHelpers(
  getServer: () => RunningServer,
  model: string,
  clients: [client: string, SdkCheck[]][],
): void {
  describe.each(clients)('%s', (_, checks) => {
    test.each(checks)('$name', ({ run }) => run({ origin: getServer().origin, model }))
  })
}

describe('a tiny model of random weights', () => {
  // Its chat template has tools.
  const model = join(goldens, 'qwen3')
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer(['-m', model])
  })
  afterAll(() => server.end('SIGKILL'))
  describeClients(() => server, model)
  describeHelpers(() => server, model, generatingChecks)

  test('helpers of the Python clients', { timeout }, async ({ skip }) => {
    const openai = await runPythonChecks('openai_helpers', `${server.origin}/v1`, model, '')
    if (openai === undefined) return skip()
    expect(openai).toHaveLength(4)
    expect(await runPythonChecks('anthropic_helpers', server.origin, model)).toHaveLength(3)
  })
})

describe('a tiny model that makes embeddings', () => {
  const model = join(goldens, 'qwen3-embedding')
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer(['-m', model])
  })
  afterAll(() => server.end('SIGKILL'))
  describeHelpers(() => server, model, embeddingChecks)
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
