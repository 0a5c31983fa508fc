import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { appDefaults } from '../../test/http/deployment.ts'
import { createAccessLog } from './accessLog.ts'
import { registerEngineMetrics } from './engineMetrics.ts'
import { registerHttpMetrics } from './httpMetrics.ts'

function server() {
  const engine = createScriptedEngine()
  const registry = new Registry()
  const metrics = registerEngineMetrics(registry, engine)
  const { log, measure } = registerHttpMetrics(registry)
  const lines: string[] = []
  const access = createAccessLog('json', line => lines.push(line))
  const app = createApp({
    ...appDefaults,
    engine,
    measure,
    metrics,
    log: entry => {
      log(entry)
      access(entry)
    },
  })
  const post = (path: string, body: unknown) =>
    app.request(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-length': String(JSON.stringify(body).length) },
    })
  return { app, post, lines }
}

test('requests, streams and the engine are counted under the names that dashboards know', async () => {
  const { app, post } = server()
  await (await post('/v1/chat/completions', { messages: 'hi', stream: true })).text()
  await post('/v1/chat/completions', { messages: 'hi', model: 'no/such' })
  await app.request('/v1/models/scripted%2Fwords-1')
  await app.request('/v1/models/a/b/c')
  await app.request('/nowhere/at/all')
  await app.request('/v1/models/unload')
  for (const method of ['BREW', 'WHEN']) await app.request('/v1/models', { method })
  await app.request('/health')
  const response = await app.request('/metrics')
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/)
  const text = await response.text()
  const lineOf = (start: string) => {
    const line = text.split('\n').find(known => known.startsWith(start))
    return Number(line?.split(' ').at(-1))
  }
  const counted = (labels: string) => lineOf(`http_requests_total{${labels}}`)
  const chat = 'method="POST",path="/v1/chat/completions"'
  expect(counted(`${chat},model="scripted/words-1",status="200"`)).toBe(1)
  expect(counted(`${chat},model="unknown",status="404"`)).toBe(1)
  const models = 'method="GET",path="/v1/models/{id}",model="none"'
  expect(counted(`${models},status="200"`)).toBe(1)
  expect(counted(`${models},status="404"`)).toBe(1)
  expect(counted('method="GET",path="<unmatched>",model="none",status="404"')).toBe(1)
  expect(counted('method="GET",path="<unmatched>",model="none",status="405"')).toBe(1)
  expect(counted('method="OTHER",path="<unmatched>",model="none",status="405"')).toBe(2)
  expect(text).not.toMatch(/health|no\/such|nowhere/)
  expect(lineOf(`http_requests_in_flight{${chat}}`)).toBe(0)
  expect(lineOf(`http_request_body_bytes_count{${chat}}`)).toBe(2)
  expect(lineOf('mistralrs_time_to_first_token_seconds_count{model="scripted/words-1"}')).toBe(1)
  expect(lineOf('mistralrs_inter_token_latency_seconds_count')).toBeGreaterThan(1)
  expect(lineOf('mistralrs_sequences_running{model="scripted/words-1"}')).toBe(0)
  expect(
    lineOf('mistralrs_sequences_completed_total{model="scripted/words-1",reason="aborted"}'),
  ).toBe(0)
})

test('metrics that are off are said to be', async () => {
  const app = createApp({ ...appDefaults, engine: createScriptedEngine() })
  expect((await app.request('/metrics')).status).toBe(503)
})

test('a request has a line when it begins and one when it has ended', async () => {
  const { app, post, lines } = server()
  await (await post('/v1/chat/completions', { messages: 'hi', stream: true })).text()
  await app.request('/health')
  const [started, completed, ...others] = lines.map(line => JSON.parse(line))
  expect(others).toEqual([])
  const names = {
    method: 'POST',
    path: '/v1/chat/completions',
    route: '/v1/chat/completions',
    requestId: expect.stringMatching(/^req_/),
    bodyBytes: 31,
    time: expect.any(String),
  }
  expect(started).toEqual({ event: 'request_started', ...names })
  expect(completed).toEqual({
    event: 'request_completed',
    ...names,
    status: 200,
    end: 'completed',
    durationMs: expect.any(Number),
    model: 'scripted/words-1',
    promptTokens: expect.any(Number),
    completionTokens: expect.any(Number),
  })
  expect(completed.requestId).toBe(started.requestId)
  const text: string[] = []
  createAccessLog('text', line => text.push(line))({ ...completed, modelLabel: 'x' })
  expect(text[0]).toMatch(
    /INFO access: completed POST \/v1\/chat\/completions status=200 ms=[\d.]+ model=scripted\/words-1 prompt_tokens=\d+ completion_tokens=\d+ id=req_\w+\n$/,
  )
})
