import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { listen } from '../../runtime/host/listen.ts'
import { appDefaults } from './deployment.ts'

test('the name that a server is called by is that of the Host header', async () => {
  const app = createApp({ ...appDefaults, hosts: ['box.lan'], engine: createScriptedEngine() })
  const server = await listen(app.fetch, { host: '127.0.0.1', port: 0, callers: 'clients' })
  const statusFor = async (host: string) => {
    const path = '/v1/requests/x/cancel'
    const asked = request({ port: server.port, path, method: 'POST', headers: { host } }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  }
  try {
    expect(await statusFor('box.lan:1234')).toBe(404)
    expect(await statusFor('[::1]:1234')).toBe(404)
    expect(await statusFor('evil.example:1234')).toBe(403)
  } finally {
    await server.close(0)
  }
})
