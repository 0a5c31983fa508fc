import { expect } from 'vitest'
import { type HttpCase, post } from './httpSuite.ts'

/** Routes beside the protocols: tokens, models, facts. */
export const utilityCases: HttpCase[] = [
  {
    name: 'text becomes tokens and back, whatever name the client has for it',
    async run({ fetch }) {
      const ask = async (path: string, body: object) => {
        const response = await fetch(path, post(body))
        expect(response.status).toBe(200)
        return (await response.json()) as Record<string, unknown>
      }
      const own = await ask('/v1/tokenize', { text: 'hi the', return_pieces: true })
      const { tokens } = own
      expect(own).toEqual({
        tokens: expect.any(Array),
        count: 3,
        max_model_len: 4096,
        pieces: ['h', 'i', ' the'],
      })
      // vLLM
      expect(await ask('/tokenize', { prompt: 'hi the', return_token_strs: true })).toMatchObject({
        tokens,
        count: 3,
        token_strs: ['h', 'i', ' the'],
      })
      // llama.cpp
      expect(await ask('/tokenize', { content: 'hi the', with_pieces: true })).toMatchObject({
        tokens: (tokens as number[]).map((id, i) => ({ id, piece: ['h', 'i', ' the'][i] })),
      })
      expect(await ask('/v1/detokenize', { tokens })).toEqual({
        text: 'hi the',
        prompt: 'hi the',
        content: 'hi the',
      })
      const messages = [{ role: 'user', content: 'hi' }]
      const { prompt } = await ask('/apply-template', { messages })
      expect(prompt).toMatch(/^user: .*\nassistant:$/)
      const { count } = await ask('/v1/tokenize', { messages })
      expect(count).toBeGreaterThan(String(prompt).length / 2)
    },
  },
  {
    name: 'mistakes in tokenizing name their field',
    async run({ fetch }) {
      for (const [path, body, status, param] of [
        ['/v1/tokenize', {}, 400, 'messages'],
        ['/v1/tokenize', { text: 5 }, 400, 'text'],
        ['/v1/tokenize', { text: 'a', model: 'no/such' }, 404, 'model'],
        ['/v1/detokenize', {}, 400, 'tokens'],
        ['/v1/detokenize', { tokens: ['a'] }, 400, 'tokens[0]'],
        ['/v1/detokenize', { tokens: [1e9] }, 400, 'tokens'],
        ['/apply-template', { prompt: 'a' }, 400, 'messages'],
      ] as const) {
        const response = await fetch(path, post(body))
        const { error } = (await response.json()) as { error: { param: string } }
        expect([path, response.status, error.param]).toEqual([path, status, param])
      }
    },
  },
  {
    name: 'models are unloaded, loaded again and asked for',
    async run({ fetch }) {
      const act = async (action: string, model_id: string) => {
        const response = await fetch(`/v1/models/${action}`, post({ model_id }))
        return [response.status, await response.json()]
      }
      const model_id = 'scripted/words-1'
      expect(await act('unload', 'words')).toEqual([200, { model_id, status: 'unloaded' }])
      expect(await act('reload', model_id)).toEqual([200, { model_id, status: 'loaded' }])
      expect(await act('status', 'default')).toEqual([200, { model_id, status: 'loaded' }])
      const [status, body] = await act('unload', 'no/such')
      expect([status, body]).toMatchObject([
        404,
        { error: { code: 'model_not_found', param: 'model_id' } },
      ])
      expect((await fetch('/v1/models/unload', post({}))).status).toBe(400)
      const foreign = { headers: { origin: 'https://evil.example' } }
      const refused = await fetch('/v1/models/unload', { ...post({ model_id }), ...foreign })
      expect(refused.status).toBe(403)
    },
  },
  {
    name: 'facts about the machine',
    async run({ fetch }) {
      const response = await fetch('/v1/system/info')
      expect([response.status, await response.json()]).toEqual([200, { engine: 'scripted' }])
    },
  },
]
