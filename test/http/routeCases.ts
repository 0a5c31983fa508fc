import { expect } from 'vitest'
import { openapiDocument } from '../../edge/openapi/document.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { type HttpCase, post } from './httpSuite.ts'

const chat = { messages: 'hi', max_tokens: 2 }
const loading = { ...scriptedModel, status: 'loading' as const }

const { paths } = openapiDocument({ hasKeys: false }) as { paths: Record<string, object> }
/** Every path with the methods it takes. */
const methodsOf = Object.entries({
  ...paths,
  ...Object.fromEntries(
    ['/', '/health', '/openapi.json', '/docs'].map(path => [path, { get: {} }]),
  ),
}).map(([path, operations]): [string, string[]] => {
  const methods = ['GET', 'POST', 'DELETE'].filter(m => m.toLowerCase() in operations)
  return [path, [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS']]
})

export const routeCases: HttpCase[] = [
  {
    name: '/ and /health say OK',
    async run({ fetch }) {
      for (const path of ['/', '/health', '/v1/health/', '/health?x=1']) {
        const response = await fetch(path)
        expect([response.status, await response.text()]).toEqual([200, 'OK'])
      }
    },
  },
  {
    name: '/ready',
    async run({ fetch }) {
      const response = await fetch('/ready')
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ status: 'ready', running: 0, waiting: 0 })
    },
  },
  {
    name: '/ready while loading, when only /health is fine',
    scenario: { engine: { models: [loading] } },
    async run({ fetch }) {
      const response = await fetch('/ready')
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ status: 'loading' })
      expect((await fetch('/health')).status).toBe(200)
    },
  },
  {
    name: '/docs and what it loads',
    async run({ fetch }) {
      const html = await (await fetch('/docs')).text()
      const files = [...html.matchAll(/(?:src|href)="(\/.*?)"/g)].map(([, path = '']) => path)
      expect(files).toHaveLength(3)
      for (const path of [...files, '/openapi.json']) {
        const response = await fetch(path)
        expect([path, response.status]).toEqual([path, 200])
        expect(response.headers.get('content-type')).toMatch(/css|javascript|json/)
        expect((await response.text()).length).toBeGreaterThan(100)
      }
    },
  },
  {
    name: 'models: default first, then real ids',
    async run({ fetch }) {
      const { object, data } = (await (await fetch('/v1/models')).json()) as {
        object: string
        data: Record<string, unknown>[]
      }
      expect(object).toBe('list')
      expect(data.map(({ id }) => id)).toEqual(['default', 'scripted/words-1'])
      expect(data[1]).toMatchObject({
        object: 'model',
        owned_by: 'local',
        root: 'scripted/words-1',
        created: 1_700_000_000,
        status: 'loaded',
        max_model_len: 4096,
        quantization: 'none',
      })
    },
  },
  {
    name: 'one model by id, with its slash, encoded, by alias, and default',
    async run({ fetch }) {
      const id = async (path: string) => ((await (await fetch(path)).json()) as { id: string }).id
      expect(await id('/v1/models/scripted/words-1')).toBe('scripted/words-1')
      expect(await id('/v1/models/scripted%2Fwords-1')).toBe('scripted/words-1')
      expect(await id('/models/words')).toBe('scripted/words-1')
      expect(await id('/v1/models/default')).toBe('default')
    },
  },
  {
    name: 'an unknown model by id is 404',
    async run({ fetch }) {
      const response = await fetch('/v1/models/gpt-9')
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({
        error: { code: 'model_not_found', param: 'model' },
      })
    },
  },
  {
    name: 'the same routes with and without /v1, slashes and queries',
    async run({ fetch }) {
      const prefixes = ['/v1/chat/completions', '/chat/completions', '//v1//chat/completions/']
      for (const path of [...prefixes, '/v1/chat/completions?beta=true']) {
        expect((await fetch(path, post(chat))).status).toBe(200)
      }
    },
  },
  {
    name: 'any content type, as long as the body is JSON',
    async run({ fetch }) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
        const init = post(chat, { headers: type ? { 'content-type': type } : {} })
        expect((await fetch('/v1/chat/completions', init)).status).toBe(200)
      }
    },
  },
  {
    name: 'HEAD answers what GET would, without a body',
    async run({ fetch }) {
      for (const [path, status] of [
        ['/health', 200],
        ['/v1/models', 200],
        ['/nowhere', 404],
        ['/v1/chat/completions', 405],
      ] as const) {
        const response = await fetch(path, { method: 'HEAD' })
        expect([path, response.status, await response.text()]).toEqual([path, status, ''])
      }
    },
  },
  ...methodsOf.map(
    ([path, allowed]): HttpCase => ({
      name: `other methods than ${allowed} are refused for ${path}`,
      async run({ fetch, log }) {
        const url = path.replace('{id}', 'x')
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          if (allowed.includes(method)) continue
          const response = await fetch(url, { method })
          expect([method, response.status]).toEqual([method, 405])
          expect(response.headers.get('allow')).toBe(allowed.join(', '))
          expect(await response.json()).toMatchObject(
            path.startsWith('/v1/messages')
              ? { type: 'error', error: { type: 'invalid_request_error' } }
              : { error: { type: 'invalid_request_error', code: 'method_not_allowed' } },
          )
        }
        expect(log.map(entry => 'route' in entry && entry.route)).not.toContain(path)
      },
    }),
  ),
  {
    name: 'a path of Anthropic that is not there is refused in its words',
    async run({ fetch }) {
      const response = await fetch('/v1/messages/batches')
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({
        type: 'error',
        error: { type: 'not_found_error' },
      })
    },
  },
  {
    name: 'chat echoes the real model and counts',
    async run({ fetch }) {
      const response = await fetch(
        '/v1/chat/completions',
        post({ ...chat, model: 'default', n: 3 }),
      )
      const body = (await response.json()) as { id: string; choices: unknown[] }
      expect(body).toMatchObject({
        object: 'chat.completion',
        model: 'scripted/words-1',
        system_fingerprint: 'fp_scripted',
        usage: { completion_tokens: 6 },
      })
      expect(body.id).toMatch(/^chatcmpl-\w{24}$/)
      expect(body.choices).toHaveLength(3)
    },
  },
  {
    name: 'completions of several prompts, echoing token ids as text',
    async run({ fetch }) {
      const body = { prompt: [[104, 195, 169], [33]], echo: true, max_tokens: 1 }
      const response = await fetch('/v1/completions', post(body))
      const { choices } = (await response.json()) as { choices: { text: string }[] }
      expect(choices.map(({ text }) => text.slice(0, 2))).toEqual(['hé', '! '])
    },
  },
  {
    name: 'completions that only score their prompt',
    async run({ fetch }) {
      const body = { prompt: 'of the', echo: true, max_tokens: 0, logprobs: 1 }
      const response = await fetch('/v1/completions', post(body))
      const { choices, usage } = (await response.json()) as {
        choices: { text: string; logprobs: { token_logprobs: unknown[] } }[]
        usage: { completion_tokens: number }
      }
      expect(choices[0]).toMatchObject({ text: 'of the', finish_reason: 'length' })
      expect(choices[0]?.logprobs.token_logprobs[0]).toBeNull()
      expect(usage.completion_tokens).toBe(0)
    },
  },
  {
    name: 'the client and its numbers are logged, probes are not',
    async run({ fetch, log }) {
      await fetch('/health')
      await fetch('/v1/chat/completions', post(chat, { headers: { 'x-request-id': 'me' } }))
      const names = {
        requestId: 'me',
        method: 'POST',
        path: '/v1/chat/completions',
        route: '/v1/chat/completions',
      }
      expect(log).toMatchObject([
        { event: 'request_started', ...names },
        {
          event: 'request_completed',
          ...names,
          modelLabel: 'scripted/words-1',
          status: 200,
          durationMs: expect.any(Number),
          end: 'completed',
          model: 'scripted/words-1',
          promptTokens: expect.any(Number),
          completionTokens: 2,
        },
      ])
    },
  },
]
