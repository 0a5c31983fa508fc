import { expect } from 'vitest'
import { type HttpCase, post } from './httpSuite.ts'

const keys = { app: { auth: { apiKeys: ['first-key', 'second-key'] } } }
const origins = { app: { cors: { origins: ['https://app.example'] } } }
const chat = { messages: 'hi', max_tokens: 1 }

export const headerCases: HttpCase[] = [
  {
    name: 'every answer has an id, a time and CORS headers',
    scenario: { app: { limits: { maxBodyBytes: 50 } } },
    async run({ fetch }) {
      const answers: [string, RequestInit | undefined, number][] = [
        ['/health', undefined, 200],
        ['/nowhere', undefined, 404],
        ['/v1/models', { method: 'DELETE' }, 405],
        ['/v1/chat/completions', post({ ...chat, stream: true }), 200],
        ['/v1/chat/completions', post('{'), 400],
        ['/v1/chat/completions', post(' '.repeat(51)), 413],
      ]
      for (const [path, init, status] of answers) {
        const { headers, ...response } = await fetch(path, init).then(r => ({
          status: r.status,
          headers: r.headers,
        }))
        expect(response.status).toBe(status)
        expect(headers.get('x-request-id')).toMatch(/^req_\w{24}$/)
        expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/)
        expect(headers.get('openai-version')).toBe('2020-10-01')
        expect(headers.get('access-control-allow-origin')).toBe('*')
        expect(headers.get('access-control-expose-headers')).toContain('x-request-id, request-id')
      }
    },
  },
  {
    name: 'a request id is echoed, within limits',
    async run({ fetch }) {
      const echoed = async (id: string) =>
        (await fetch('/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
      expect(await echoed('abc-123')).toBe('abc-123')
      expect(await echoed('a b\u00e9')).toBe('ab')
      expect(await echoed('x'.repeat(500))).toBe('x'.repeat(128))
      expect(await echoed('')).toMatch(/^req_/)
    },
  },
  {
    name: 'a preflight gets what it asks for',
    async run({ fetch }) {
      const asked = 'authorization, x-stainless-retry-count, idempotency-key'
      const { status, headers } = await fetch('/v1/chat/completions', {
        method: 'OPTIONS',
        headers: {
          origin: 'https://anywhere.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': asked,
          'access-control-request-private-network': 'true',
        },
      })
      expect(status).toBe(204)
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-allow-headers')).toBe(asked)
      expect(headers.get('access-control-allow-methods')).toContain('POST')
      expect(headers.get('access-control-max-age')).toBe('86400')
      expect(headers.get('access-control-allow-private-network')).toBe('true')
    },
  },
  {
    name: 'OPTIONS works on everything and needs no key',
    scenario: keys,
    async run({ fetch }) {
      const allow = async (path: string) => {
        const { status, headers } = await fetch(path, { method: 'OPTIONS' })
        return [status, headers.get('allow')]
      }
      expect(await allow('/v1/models')).toEqual([204, 'GET, HEAD, OPTIONS'])
      expect(await allow('/v1/completions')).toEqual([204, 'POST, OPTIONS'])
      expect((await allow('/nowhere'))[0]).toBe(204)
    },
  },
  {
    name: 'configured origins only',
    scenario: origins,
    async run({ fetch }) {
      const { headers } = await fetch('/health', { headers: { origin: 'https://app.example' } })
      expect(headers.get('access-control-allow-origin')).toBe('https://app.example')
      expect(headers.get('vary')).toBe('origin')
      const other = (await fetch('/health', { headers: { origin: 'https://evil.example' } }))
        .headers
      expect(other.get('access-control-allow-origin')).toBeNull()
      expect(other.get('vary')).toBe('origin')
    },
  },
  {
    name: 'without configured keys any key, and none, is accepted',
    async run({ fetch }) {
      expect((await fetch('/v1/models')).status).toBe(200)
      const headers = { authorization: 'Bearer EMPTY' }
      expect((await fetch('/v1/models', { headers })).status).toBe(200)
    },
  },
  {
    name: 'configured keys, in either header',
    scenario: keys,
    async run({ fetch }) {
      const status = async (headers: Record<string, string>) =>
        (await fetch('/v1/models', { headers })).status
      expect(await status({ authorization: 'Bearer first-key' })).toBe(200)
      expect(await status({ authorization: 'bearer second-key' })).toBe(200)
      expect(await status({ 'x-api-key': 'second-key' })).toBe(200)
      for (const wrong of ['first-ke', 'first-keyx', '', 'first-key second-key']) {
        expect(await status({ authorization: `Bearer ${wrong}` })).toBe(401)
        expect(await status({ 'x-api-key': wrong })).toBe(401)
      }
      for (const open of ['/', '/health', '/ready']) expect((await fetch(open)).status).toBe(200)
    },
  },
  {
    name: 'a missing key is told how to be sent',
    scenario: keys,
    async run({ fetch }) {
      const response = await fetch('/v1/chat/completions', post(chat))
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await response.json()).toMatchObject({
        error: { type: 'invalid_request_error', code: 'invalid_api_key', param: null },
      })
    },
  },
]
