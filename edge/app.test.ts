import { describe, expect, test } from 'vitest'
import { createApp } from './app.ts'
import type { LogEntry } from './deps.ts'
import type { Engine } from './engine.ts'
import { createScriptedEngine } from './scripted/scriptedEngine.ts'

function appWith(engine: Partial<Engine>) {
  const log: LogEntry[] = []
  const app = createApp({
    engine: { ...createScriptedEngine(), ...engine },
    limits: { maxBodyBytes: 1000 },
    cors: { origins: ['*'] },
    hosts: [],
    clock: () => 1_700_000_000_999,
    newId: () => 'fixed',
    keepAliveMs: 1000,
    strictOpenai: false,
    log: entry => log.push(entry),
  })
  return { app, log }
}
const init = { method: 'POST', body: '{"messages": "hi", "max_tokens": 1}' }

test('ids and time come from the host', async () => {
  const { app } = appWith({})
  const response = await app.request('/v1/chat/completions', init)
  expect(response.headers.get('x-request-id')).toBe('req_fixed')
  expect(await response.json()).toMatchObject({ id: 'chatcmpl-fixed', created: 1_700_000_000 })
})

describe('a bug below is told as nothing but a bug', () => {
  test.each([[new TypeError('secret')], ['secret']])('%s', async thrown => {
    const { app, log } = appWith({ submit: () => Promise.reject(thrown) })
    const response = await app.request('/v1/chat/completions', init)
    expect(response.status).toBe(500)
    expect(response.headers.get('x-should-retry')).toBe('false')
    const body = await response.text()
    expect(JSON.parse(body).error).toMatchObject({ type: 'server_error', code: 'internal_error' })
    expect(body).not.toContain('secret')
    expect(log[1]).toMatchObject({ event: 'internal_error', requestId: 'req_fixed' })
  })
})

test('/ready without an engine in reach', async () => {
  const { app } = appWith({ health: () => Promise.reject(new Error('gone')) })
  const response = await app.request('/ready')
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ status: 'failed' })
})

test.each(['/v1/chat/completions', '/v1/responses', '/v1/messages', '/v1/tokenize'])(
  '%s: what was given up for its slow body does not begin when that comes after all',
  async path => {
    let numBegun = 0
    const begin = () => {
      numBegun++
      return Promise.reject(new Error('begun'))
    }
    const { app, log } = appWith({ submit: begin, tokenize: begin, models: begin })
    const body = new TransformStream<Uint8Array, Uint8Array>()
    const answer = app.request(
      path,
      { method: 'POST', body: body.readable, duplex: 'half' } as RequestInit,
      { tooSlow: Promise.resolve('too slow') },
    )
    expect((await answer).status).toBe(408)
    const writer = body.writable.getWriter()
    await writer.write(new TextEncoder().encode(init.body))
    await writer.close()
    await new Promise(resolve => setTimeout(resolve, 10))
    expect([numBegun, log.map(({ event }) => event)]).toEqual([
      0,
      ['request_started', 'request_completed'],
    ])
  },
)
