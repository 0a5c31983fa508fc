import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { RemoteEngine } from '../../edge/remote/remoteEngine.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { createContainerApp } from '../../runtime/container/containerApp.ts'
import { connectUpstream } from '../../runtime/host/connectUpstream.ts'
import { appDefaults } from './deployment.ts'

const fromClient = {
  authorization: 'Bearer sk-of-the-client',
  'x-api-key': 'sk-of-the-client',
  cookie: 'session=1',
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-host': 'localhost',
  'x-engine-secret': 'guessed',
  'x-owner': 'somebody',
  forwarded: 'for=127.0.0.1',
}

test('an edge passes on no header of its client', async () => {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers)
    response.writeHead(503).end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const upstream = connectUpstream(url)
  const engine = new RemoteEngine({ url, fetch: upstream.fetch, secret: 'between us' })
  try {
    await createApp({ ...appDefaults, engine }).request('/v1/models', { headers: fromClient })
    const names = Object.keys(seen[0] ?? {}).filter(name => !name.startsWith(':'))
    expect(names).toEqual(['x-engine-secret'])
    expect(seen[0]?.['x-engine-secret']).toBe('between us')
  } finally {
    await upstream.close()
    server.close()
  }
})

test('a container goes by the job alone, whatever headers come with it', async () => {
  const engine = createScriptedEngine()
  const app = createContainerApp(engine, {
    limits: appDefaults.limits,
    secret: 'between us',
    onInternalError: error => {
      throw error
    },
  })
  const job = {
    model: 'default',
    prompt: { kind: 'text', prompts: ['hi'] },
    n: 1,
    sampling: {},
    stop: [],
    maxTokens: 1,
  }
  const send = (headers: Record<string, string>) =>
    app.fetch(
      new Request('http://x/engine/generate', {
        method: 'POST',
        body: JSON.stringify(job),
        headers,
      }),
    )
  expect((await send(fromClient)).status).toBe(401)
  const headers = { ...fromClient, 'x-request-id': 'mine', 'x-engine-secret': 'between us' }
  const response = await send(headers)
  expect(response.status).toBe(200)
  await response.text()
  expect(engine.jobs).toEqual([job])
})

test.each([
  '/engine/jobs/%',
  '/engine/jobs/%ff',
  '/engine/jobs/x?after=many',
  '/engine/jobs/x?after=-2',
])('a container tells of %s that it is wrong, not that it broke', async path => {
  const app = createContainerApp(createScriptedEngine(), {
    limits: appDefaults.limits,
    onInternalError: error => {
      throw error
    },
  })
  expect((await app.fetch(new Request(`http://x${path}`))).status).toBeOneOf([400, 404])
})
