import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CheckResult } from '../../runtime/conformance/runChecks.ts'
import { goldens, mistralrs, type RunningServer, startServer } from './command.ts'

interface Report {
  pass: number
  fail: number
  skip: number
  results: CheckResult[]
}

describe.each([
  { model: 'qwen3', skipped: ['embeddings', 'headers and CORS'] },
  {
    model: 'qwen3-embedding',
    skipped: [
      ...['chat', 'chat streams', 'tools', 'structured output', 'logprobs', 'completions'],
      ...['responses', 'anthropic messages', 'errors', 'headers and CORS'],
    ],
  },
])('a server of $model', ({ model, skipped }) => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer(['-m', join(goldens, model)])
  })
  afterAll(() => server.end('SIGKILL'))

  test('fails no check, and skips what its model does not do', async () => {
    const { code, stdout } = await mistralrs([
      'conformance',
      ...['--base-url', `${server.origin}/v1`, '--json'],
    ])
    const { results, ...counts } = JSON.parse(stdout) as Report
    expect(results.filter(({ outcome }) => outcome === 'fail')).toEqual([])
    expect(code).toBe(0)
    expect(counts.pass + counts.skip).toBe(results.length)
    const groups = results.filter(({ outcome }) => outcome === 'skip').map(({ group }) => group)
    expect([...new Set(groups)]).toEqual(skipped)
  })
})

test('a server that does not keep a point: exit code 1 and the reason', async () => {
  const { code, stdout } = await mistralrs([
    'conformance',
    '--base-url',
    `http://127.0.0.1:${await unusedPort()}`,
    '--model',
    'm',
  ])
  expect(code).toBe(1)
  expect(stdout).toMatch(/FAIL {2}a list of models \(15\)\n +no answer: .*ECONNREFUSED/)
  expect(stdout).toMatch(/\n0 passed, \d+ failed, 1 skipped\n$/)
})

test('a server that is not there', async () => {
  const { code, stderr } = await mistralrs([
    'conformance',
    '--base-url',
    `http://127.0.0.1:${await unusedPort()}`,
  ])
  expect([code, stderr]).toEqual([1, expect.stringContaining('no server answers there')])
})

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
