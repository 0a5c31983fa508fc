import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createScriptedEngine, type ScriptedOptions } from '../../edge/scripted/scriptedEngine.ts'
import { talk } from '../../test/support/talk.ts'
import { textJob as job } from '../../test/support/textJob.ts'
import { type Listener, listen } from '../host/listen.ts'
import { createContainerApp } from './containerApp.ts'

const endless = { ...job, ignoreEos: true, maxTokens: 4000 }

const open: Listener[] = []
afterEach(async () => {
  for (const container of open.splice(0)) await container.close(0)
})

async function container(options: ScriptedOptions = {}, secret?: string) {
  const engine = createScriptedEngine(options)
  const errors: unknown[] = []
  const app = createContainerApp(engine, {
    limits: { maxBodyBytes: 200_000 },
    keepAliveMs: 50,
    onInternalError: error => errors.push(error),
    ...(secret !== undefined && { secret }),
  })
  const listener = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'edges' })
  open.push(listener)
  const url = `http://127.0.0.1:${listener.port}`
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    })
  return { engine, errors, listener, url, post, app }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !condition(); i++) await new Promise(r => setTimeout(r, 10))
  expect(condition()).toBe(true)
}

const lines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))

function http2Post(session: ClientHttp2Session, body: unknown) {
  const stream = session.request({ ':method': 'POST', ':path': '/engine/generate' })
  stream.end(JSON.stringify(body))
  let received = ''
  stream.on('data', data => {
    received += data
  })
  stream.on('error', () => {})
  return { stream, received: () => received }
}

describe('routes', () => {
  test('generate: what was accepted, then the events', async () => {
    const { post } = await container()
    const response = await post('/engine/generate', job)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const [head, ...events] = lines(await response.text())
    expect(head).toMatchObject({ jobId: 'scripted-1', model: 'scripted/words-1', queuePosition: 0 })
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i))
    expect(events.at(-1).kind).toBe('usage')
  })

  test('the rest', async () => {
    const { url, post } = await container()
    const get = async (path: string) => (await fetch(`${url}${path}`)).json()
    expect(await get('/engine/health')).toMatchObject({ ready: true, running: 0 })
    expect(await get('/engine/models')).toMatchObject({ models: [{ id: 'scripted/words-1' }] })
    expect(await get('/ready')).toEqual({ status: 'ready' })
    expect(await (await fetch(`${url}/health`)).text()).toBe('OK')
    const text = { model: 'default', prompt: { kind: 'text', text: 'hi' } }
    const { tokens } = (await (await post('/engine/tokenize', text)).json()) as { tokens: [] }
    const back = await post('/engine/detokenize', { model: 'default', tokens })
    expect(await back.json()).toEqual({ text: 'hi' })
  })

  test('refusals are statuses with the error as data', async () => {
    const { url, post } = await container({ maxRunning: 0, maxWaiting: 0 })
    const refused = async (body: unknown) => {
      const response = await post('/engine/generate', body)
      const { error } = (await response.json()) as { error: object }
      return [response.status, error]
    }
    expect(await refused(job)).toMatchObject([429, { kind: 'busy', retryAfterMs: 1500 }])
    expect(await refused({ ...job, model: 'x' })).toMatchObject([404, { kind: 'model_not_found' }])
    expect(await refused('{"')).toMatchObject([400, { kind: 'invalid' }])
    expect(await refused('[1]')).toMatchObject([400, { kind: 'invalid' }])
    expect(await refused(' '.repeat(200_001))).toMatchObject([413, { kind: 'too_large' }])
    expect((await fetch(`${url}/nowhere`)).status).toBe(404)
  })

  test('a bug is told of here and not to the caller', async () => {
    const { post, errors } = await container()
    const response = await post('/engine/generate', { model: 'default' })
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ error: { kind: 'internal' } })
    expect(errors).toHaveLength(1)
  })

  test('the secret, on all but the probes', async () => {
    const { url, post } = await container({}, 'sesame')
    const status = async (secret?: string) => {
      const headers = secret === undefined ? {} : { 'x-engine-secret': secret }
      return (await post('/engine/generate', job, { headers })).status
    }
    expect(await status('sesame')).toBe(200)
    for (const wrong of [undefined, '', 'sesam', 'sesamee']) expect(await status(wrong)).toBe(401)
    expect((await fetch(`${url}/engine/models`)).status).toBe(401)
    for (const probe of ['/health', '/ready']) expect((await fetch(url + probe)).status).toBe(200)
  })

  test('events of one step are one write; silence is broken by empty lines', async () => {
    const { app } = await container({ promptDelayMs: 120, tokensPerStep: 100 })
    const response = await app.fetch(
      new Request('http://x/engine/generate', { method: 'POST', body: JSON.stringify(job) }),
    )
    const chunks: string[] = []
    for await (const chunk of response.body ?? []) chunks.push(new TextDecoder().decode(chunk))
    expect(chunks.filter(chunk => chunk === '\n').length).toBeGreaterThan(0)
    const [, all, usage] = chunks.filter(chunk => chunk !== '\n')
    expect(lines(all ?? '').at(-1)).toMatchObject({ kind: 'finish' })
    expect(lines(usage ?? '')).toMatchObject([{ kind: 'usage' }])
  })
})

describe('callers that leave', () => {
  const slow = { stepDelayMs: 10 }

  test('a reset stream ends its job, the others go on', async () => {
    const { url, engine } = await container(slow)
    const session = connectHttp2(url)
    const [one, two] = [http2Post(session, endless), http2Post(session, { ...job, maxTokens: 3 })]
    await until(() => one.received().split('\n').length > 2)
    one.stream.close()
    await until(() => engine.numAborted === 1)
    await until(() => two.received().includes('"usage"'))
    expect(engine.numActive).toBe(0)
    session.destroy()
  })

  test.each([
    ['HTTP/1.1, disconnected', (socket: Socket) => socket.destroy()],
    ['HTTP/1.1, half closed', (socket: Socket) => socket.end()],
  ])('%s', async (_, leave) => {
    const { engine, listener } = await container(slow)
    const body = JSON.stringify(endless)
    const head = `POST /engine/generate HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    const { socket, received } = talk(listener.port, head + body)
    await until(() => received().includes('"text"'))
    leave(socket)
    await until(() => engine.numAborted === 1 && listener.numConnections === 0)
  })

  test.each([
    ['HTTP/2, disconnected', (socket: Socket) => socket.destroy()],
    ['HTTP/2, half closed', (socket: Socket) => socket.end()],
  ])('%s', async (_, leave) => {
    const { engine, listener, url } = await container(slow)
    const socket = connect(listener.port, '127.0.0.1')
    const session = connectHttp2(url, { createConnection: () => socket })
    session.on('error', () => {})
    const { received } = http2Post(session, endless)
    await until(() => received().includes('"text"'))
    leave(socket)
    await until(() => engine.numAborted === 1 && listener.numConnections === 0)
  })

  test('a storm of resets', async () => {
    const { url, engine, listener } = await container(slow)
    const session = connectHttp2(url)
    for (let i = 0; i < 300; i++) http2Post(session, endless).stream.close()
    const { received } = http2Post(session, job)
    await until(() => received().includes('"usage"'))
    await until(() => engine.numActive === 0)
    session.close()
    await until(() => listener.numConnections === 0)
  })

  test('a reader that stops stops its job only', async () => {
    const { url, engine } = await container({ tokensPerStep: 500 })
    const session = connectHttp2(url)
    const big = { ...endless, n: 8, logprobs: { top: 20 } }
    const stalled = session.request({ ':method': 'POST', ':path': '/engine/generate' })
    stalled.end(JSON.stringify(big))
    stalled.on('error', () => {})
    await once(stalled, 'response')
    const { received } = http2Post(session, job)
    await until(() => received().includes('"usage"'))
    expect(engine.numActive).toBe(1)
    stalled.close()
    await until(() => engine.numActive === 0 && engine.numAborted === 1)
    session.destroy()
  })
})

test('close lets streams finish, and cuts off what does not', async () => {
  const { url, listener, engine } = await container({ stepDelayMs: 20 })
  const session = connectHttp2(url)
  session.on('error', () => {})
  const [short, long] = [http2Post(session, { ...job, maxTokens: 5 }), http2Post(session, endless)]
  await until(() => short.received() !== '' && long.received() !== '')
  await listener.close(1000)
  expect(lines(short.received()).at(-1).kind).toBe('usage')
  await until(() => engine.numAborted === 1)
})

test('a job that was given up for its slow body does not begin when that comes after all', async () => {
  const { app, engine } = await container()
  const body = new TransformStream<Uint8Array, Uint8Array>()
  const init = { method: 'POST', body: body.readable, duplex: 'half' }
  const answer = await app.fetch(new Request('http://x/engine/generate', init as RequestInit), {
    tooSlow: Promise.resolve('too slow'),
  })
  expect(answer.status).toBe(408)
  expect(await answer.json()).toEqual({ error: { kind: 'timeout', message: 'too slow' } })
  const writer = body.writable.getWriter()
  await writer.write(new TextEncoder().encode(JSON.stringify(endless)))
  await writer.close()
  await new Promise(resolve => setTimeout(resolve, 10))
  expect(engine.numActive).toBe(0)
})
