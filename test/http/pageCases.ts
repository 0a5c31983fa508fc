import { expect } from 'vitest'
import { type HttpCase, post } from './httpSuite.ts'

const CANCEL = '/v1/requests/x/cancel'
const evil = { origin: 'https://evil.example' }
const app = { origin: 'https://app.example' }
const preflight = (headers: object) => ({
  method: 'OPTIONS',
  headers: {
    ...headers,
    'access-control-request-method': 'POST',
    'access-control-request-private-network': 'true',
  },
})
const chat = JSON.stringify({ messages: 'hi', max_tokens: 1 })

/** What web pages may do with a server that asks for no key. */
export const pageCases: HttpCase[] = [
  {
    name: 'a foreign page may ask for answers and nothing else',
    async run({ fetch, engine }) {
      const init = { method: 'POST', body: chat, headers: evil }
      expect((await fetch('/v1/chat/completions', init)).status).toBe(200)
      const response = await fetch(CANCEL, { method: 'POST', headers: evil })
      expect(response.status).toBe(403)
      expect(response.headers.get('access-control-allow-origin')).toBeNull()
      expect(await response.json()).toMatchObject({
        error: { type: 'permission_error', code: 'forbidden' },
        message: expect.stringContaining('--cors-origin https://evil.example'),
      })
      const unload = { method: 'POST', body: '{"model_id": "default"}', headers: evil }
      expect((await fetch('/v1/models/unload', unload)).status).toBe(403)
      expect(engine.jobs).toHaveLength(1)
    },
  },
  {
    name: 'its preflight for anything else is not granted',
    async run({ fetch }) {
      const granted = async (path: string) => {
        const { headers, status } = await fetch(path, preflight(evil))
        expect(status).toBe(204)
        return ['origin', 'methods', 'headers', 'private-network'].map(name =>
          headers.get(`access-control-allow-${name}`),
        )
      }
      expect(await granted(CANCEL)).toEqual([null, null, null, null])
      expect(await granted('/v1/chat/completions')).toEqual([
        '*',
        expect.any(String),
        expect.any(String),
        'true',
      ])
    },
  },
  {
    name: 'pages of this server and clients that are no pages may do all',
    async run({ fetch }) {
      for (const headers of [{}, { ...evil, 'sec-fetch-site': 'same-origin' }]) {
        expect((await fetch(CANCEL, { method: 'POST', headers })).status).toBe(404)
      }
    },
  },
  {
    name: 'a named origin may do all, others nothing',
    scenario: { app: { cors: { origins: [app.origin] } } },
    async run({ fetch, engine }) {
      const answer = await fetch(CANCEL, { method: 'POST', headers: app })
      expect(answer.status).toBe(404)
      expect(answer.headers.get('access-control-allow-origin')).toBe(app.origin)
      const { headers } = await fetch(CANCEL, preflight(app))
      expect(headers.get('access-control-allow-origin')).toBe(app.origin)
      expect(headers.get('access-control-allow-private-network')).toBe('true')
      // A form of text needs no preflight.
      const form = {
        method: 'POST',
        body: chat,
        headers: { ...evil, 'content-type': 'text/plain' },
      }
      expect((await fetch('/v1/chat/completions', form)).status).toBe(403)
      expect(engine.jobs).toHaveLength(0)
      expect((await fetch('/v1/chat/completions', post(chat))).status).toBe(200)
    },
  },
  {
    name: 'with keys, the key is what counts',
    scenario: { app: { auth: { apiKeys: ['first-key'] } } },
    async run({ fetch }) {
      expect((await fetch(CANCEL, { method: 'POST', headers: evil })).status).toBe(401)
      const headers = { ...evil, authorization: 'Bearer first-key' }
      expect((await fetch(CANCEL, { method: 'POST', headers })).status).toBe(404)
      const { headers: granted } = await fetch(CANCEL, preflight(evil))
      expect(granted.get('access-control-allow-origin')).toBe('*')
    },
  },
]
