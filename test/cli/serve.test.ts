import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../http/httpSuite.ts'
import {
  chatRequest,
  main,
  mistralrs,
  Running,
  type RunningServer,
  startServer,
  tinyModel,
} from './command.ts'

const tiny = ['-m', tinyModel, '--seed', '1']
const chatPath = '/v1/chat/completions'
async function modelIds(response: Response): Promise<string[]> {
  const { data } = (await response.json()) as { data: { id: string }[] }
  return data.map(({ id }) => id)
}

async function readStream(response: Response): Promise<string> {
  return new TextDecoder().decode(await response.arrayBuffer())
}

describe('a server', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer(tiny)
  })
  afterAll(async () => {
    await server.end('SIGKILL')
  })

  test('says where it is, in the words of the reference', () => {
    const lines = server.stdout
      .trim()
      .split('\n')
      .map(line => /^\d{4}-\d\d-\d\dT[\d:.]+Z +INFO mistralrs: (.*)$/.exec(line)?.[1])
    const { origin } = server
    expect(lines.slice(-4)).toEqual([
      `Server listening on ${origin}`,
      `OpenAI-compatible API: ${origin}/v1`,
      `Anthropic-compatible API: ${origin}`,
      `Swagger UI docs: ${origin}/docs`,
    ])
    expect(lines.join('\n')).toContain('of weights')
    expect(lines.join('\n')).toContain('KV cache: ')
    expect(server.stderr).toBe('')
  })

  test('is ready and lists its model under the name that was typed', async () => {
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)
    expect((await fetch(`${server.origin}/ready`)).status).toBe(200)
    expect(await modelIds(await fetch(`${server.origin}/v1/models`))).toEqual([
      'default',
      tinyModel,
    ])
  })

  test('answers, whole and as a stream', async () => {
    const body = { max_tokens: 20, temperature: 0 }
    const whole = await fetch(server.origin + chatPath, chatRequest(body))
    expect(whole.status).toBe(200)
    const { choices } = JSON.parse(await whole.text())
    const stream = await fetch(server.origin + chatPath, chatRequest({ ...body, stream: true }))
    const events = (await readStream(stream)).trim().split('\n\n')
    expect(events.pop()).toBe('data: [DONE]')
    const text = events
      .map(event => JSON.parse(event.slice('data: '.length)).choices[0].delta.content ?? '')
      .join('')
    expect(text).toBe(choices[0].message.content)
  })

  test('uses the seed of the command line for requests without one', async () => {
    const body = chatRequest({ max_tokens: 20, temperature: 1 })
    const texts = await Promise.all(
      [1, 2].map(async () => (await fetch(server.origin + chatPath, body)).text()),
    )
    const contents = texts.map(text => JSON.parse(text).choices[0].message.content)
    expect(contents[0]).toBe(contents[1])
  })
})

test('a signal while it loads ends it', async () => {
  const server = new Running(process.execPath, [main, 'serve', '-v', '--port', '0', ...tiny])
  await server.waitFor(/bound to port/)
  expect((await server.end('SIGTERM')).code).toBe(0)
})

test('keys, origins, names and limits of the command line reach the app', async () => {
  const options = ['--api-key', 'a', '--api-key', 'b', '--cors-origin', 'https://x.example']
  const more = ['--served-model-name', 'tiny', '--max-body-mb', '1', '--strict-openai']
  const server = await startServer([...tiny, ...options, ...more])
  expect(server.stdout).not.toContain('WARN')
  const list = (key: string) =>
    fetch(`${server.origin}/v1/models`, {
      headers: { authorization: `Bearer ${key}`, origin: 'https://x.example' },
    })
  expect((await list('c')).status).toBe(401)
  for (const key of ['a', 'b']) expect((await list(key)).status).toBe(200)
  const response = await list('a')
  expect(response.headers.get('access-control-allow-origin')).toBe('https://x.example')
  expect(await modelIds(response)).toEqual(['default', 'tiny'])
  const tooLarge = chatRequest({ user: 'x'.repeat(2 ** 20) })
  const headers = { ...tooLarge.headers, authorization: 'Bearer a' }
  const { status } = await fetch(server.origin + chatPath, { ...tooLarge, headers })
  expect(status).toBe(413)
  expect((await server.end('SIGINT')).code).toBe(0)
})

test('responses survive a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mistralrs-serve-'))
  try {
    const args = [...tiny, '--response-store', join(folder, 'responses.sqlite')]
    const before = await startServer(args)
    const body = JSON.stringify({ input: 'hi', max_output_tokens: 3 })
    const created = await fetch(`${before.origin}/v1/responses`, { method: 'POST', body })
    const response = (await created.json()) as { id: string }
    expect((await before.end('SIGTERM')).code).toBe(0)
    const after = await startServer(args)
    const fetched = await fetch(`${after.origin}/v1/responses/${response.id}`)
    expect(await fetched.json()).toEqual(response)
    await after.end('SIGTERM')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('whoever opens a server to the network is warned', async () => {
  const server = new Running(process.execPath, [main, 'serve', '--port', '0', ...tiny])
  const [, port] = await server.waitFor(/Server listening on http:\/\/0\.0\.0\.0:(\d+)\n/)
  await server.waitFor(new RegExp(`OpenAI-compatible API: http://localhost:${port}/v1\n`))
  await server.waitFor(/ WARN .*without API keys/)
  await server.end('SIGTERM')
})

test('run answers once, and line by line', async () => {
  const once = await mistralrs(['run', ...tiny, '-i', 'Hello'])
  expect(once).toMatchObject({ code: 0, stderr: '' })
  expect(once.stdout.length).toBeGreaterThan(1)
  const lines = await mistralrs(['--seed', '1', 'run', '-m', tinyModel], {
    input: 'Hello\n\n/clear\n/topk 0\nHello\n/exit\nnot reached\n',
  })
  expect(lines).toMatchObject({ code: 0, stdout: once.stdout + once.stdout })
  expect(lines.stderr).toBe(
    'Conversation cleared.\n/topk takes a number: an integer, at least 1.\n',
  )
})

test('run stops at Ctrl-C', async () => {
  const running = new Running(process.execPath, [main, 'run', ...tiny])
  running.child.stdin?.write('Hello\n')
  await eventually(() => running.stdout !== '')
  expect((await running.end('SIGINT')).code).toBe(130)
})

test('a reader that goes away ends the output without noise', async () => {
  const { code, stderr } = await new Running(
    '/bin/sh',
    ['-c', `"${process.execPath}" "${main}" run -i Hello -m "${tinyModel}" | head -c 1`],
    { input: '' },
  ).ended
  expect([code, stderr]).toEqual([0, ''])
})

test('bench prints one JSON object', async () => {
  const sizes = ['--prompt-len', '32,0', '--gen-len', '9', '--depth', '4,8', '--concurrency', '1,3']
  const { code, stdout, stderr } = await mistralrs(['bench', '--json', '-m', tinyModel, ...sizes])
  expect([code, stderr]).toEqual([0, ''])
  const { rows, ...report } = JSON.parse(stdout)
  expect(report).toMatchObject({ model: tinyModel, quantization: 'f32', iterations: 3, warmup: 1 })
  expect(report.threads).toBeGreaterThan(0)
  expect(
    rows.map((row: Record<string, unknown>) => [
      row.test,
      row.promptTokens,
      row.genTokens,
      row.concurrency,
    ]),
  ).toEqual([
    ['prefill', 32, 0, 1],
    ['decode', 4, 8, 1],
    ['decode', 4, 8, 3],
    ['decode', 8, 8, 1],
    ['decode', 8, 8, 3],
  ])
  for (const { tokensPerSecond, latencyMs } of rows) {
    for (const { mean, stddev, min, p50, p99, max } of [tokensPerSecond, latencyMs]) {
      expect(mean).toBeGreaterThan(0)
      expect(stddev).toBeGreaterThanOrEqual(0)
      expect(min <= p50 && p50 <= p99 && p99 <= max).toBe(true)
    }
  }
})

test('a benchmark that does not fit says so', async () => {
  const { code, stderr } = await mistralrs([
    'bench',
    '-m',
    tinyModel,
    '--gen-len',
    '5000',
    '--prompt-len',
    '0',
  ])
  expect([code, stderr]).toEqual([1, expect.stringMatching(/does not fit into the context/)])
})
