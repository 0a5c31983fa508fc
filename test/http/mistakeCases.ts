import { expect } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { type HttpCase, post } from './httpSuite.ts'
import { sseChunks } from './sseData.ts'
import { usageEvent } from './usageEvent.ts'

const CHAT = '/v1/chat/completions'
const COMPLETIONS = '/v1/completions'

/** A choice of one token. */
function candidate(index: number, text: string, logprob: number): EventBody[] {
  const token = {
    id: 65,
    token: text,
    bytes: [...new TextEncoder().encode(text)],
    logprob,
    top: [],
  }
  return [
    { kind: 'text', index, text, logprobs: [token] },
    { kind: 'finish', index, reason: 'stop' },
  ]
}
const candidateEvents: EventBody[][] = [
  [...candidate(0, 'rare', -5), ...candidate(1, 'likely', -1)],
  [usageEvent],
]

/**
 * What other servers of this kind get wrong, by the numbers of the checklist in the HTTP specification (section 19). Elsewhere:
 * 12 in responseCases and responsesChecks (instructions do not persist, cancelling stops), 13 in messageRequest.test (any) and
 * messageStream.test (stop sequence, signature, usage), 14 in headerCases (a preflight gets what it asks for), 16 in errorCases
 * (a full queue), 17 in keyCases, 18 in utilityCases (models are unloaded), 19 in streamCases (stop strings do not leak), 20 in
 * disconnectCases, 21 in embeddingEngine.native.test. Of 15 and 22 to 30 there is nothing that could be wrong: no server-side
 * tools, images or files.
 */
export const mistakeCases: HttpCase[] = [
  {
    name: 'mistakes 1 and 2: what a client does wrong is a 4xx in JSON',
    async run({ fetch }) {
      const grammar = { type: 'regex', value: 'a' }
      const wrong: [string, RequestInit][] = [
        [CHAT, post('{')],
        [CHAT, post({ messages: 5 })],
        [CHAT, post({ messages: 'hi', model: 'gpt-9' })],
        [CHAT, post({ messages: 'hi', max_tokens: 0 })],
        [CHAT, post({ messages: 'hi', tool_choice: 'required' })],
        [CHAT, post({ messages: 'hi', grammar, response_format: { type: 'json_object' } })],
        [CHAT, post({ messages: [{ role: 'user', content: [{ type: 'poem' }] }] })],
        [COMPLETIONS, post({})],
      ]
      for (const [path, init] of wrong) {
        const response = await fetch(path, init)
        expect([400, 404]).toContain(response.status)
        expect(response.headers.get('content-type')).toMatch(/^application\/json/)
        expect(await response.json()).toHaveProperty('error.message')
      }
    },
  },
  {
    name: 'mistake 3: ids say what they are',
    async run({ fetch }) {
      const id = async (path: string, body: object) =>
        ((await (await fetch(path, post(body))).json()) as { id: string }).id
      expect(await id(CHAT, { messages: 'hi' })).toMatch(/^chatcmpl-\w{24,}$/)
      expect(await id(COMPLETIONS, { prompt: 'hi' })).toMatch(/^cmpl-\w{24,}$/)
    },
  },
  {
    name: 'mistake 4: the role comes once, usage only when asked for',
    scenario: { app: { strictOpenai: true } },
    async run({ fetch }) {
      const body = await (await fetch(CHAT, post({ messages: 'hi', stream: true }))).text()
      const chunks = sseChunks(body)
      const roles = chunks.map(({ choices }) => choices[0]?.delta?.role)
      expect(roles).toEqual(['assistant', ...roles.slice(1).map(() => undefined)])
      expect(chunks.some(chunk => 'usage' in chunk)).toBe(false)
    },
  },
  {
    name: 'mistake 5: shapes of logprobs, whole, in chunks and in legacy completions',
    async run({ fetch }) {
      const token = {
        token: expect.any(String),
        logprob: expect.any(Number),
        bytes: expect.any(Array),
      }
      const content = expect.arrayContaining([{ ...token, top_logprobs: [token, token] }])
      const ask = { messages: 'hi', logprobs: true, top_logprobs: 2, max_tokens: 2 }
      expect(await (await fetch(CHAT, post(ask))).json()).toMatchObject({
        choices: [{ logprobs: { content, refusal: null } }],
      })
      const streamed = await (await fetch(CHAT, post({ ...ask, stream: true }))).text()
      const withTokens = sseChunks(streamed).filter(({ choices }) => choices[0]?.delta?.content)
      expect(withTokens.map(({ choices }) => choices[0]?.logprobs)).toEqual(
        withTokens.map(() => ({ content, refusal: null })),
      )
      const legacy = { prompt: 'hi', logprobs: 1, max_tokens: 1 }
      expect(await (await fetch(COMPLETIONS, post(legacy))).json()).toMatchObject({
        choices: [
          {
            logprobs: {
              tokens: [expect.any(String)],
              token_logprobs: [expect.any(Number)],
              top_logprobs: [expect.any(Object)],
              text_offset: [0],
            },
          },
        ],
      })
    },
  },
  {
    name: 'mistake 6: seed, include_usage and parallel_tool_calls are heard',
    async run({ fetch, engine }) {
      const tools = [{ type: 'function', function: { name: 'f' } }]
      const ask = { messages: 'hi', seed: 7, tools, parallel_tool_calls: false }
      const stream_options = { include_usage: true }
      const body = await (await fetch(CHAT, post({ ...ask, stream: true, stream_options }))).text()
      expect(sseChunks(body).at(-1)?.usage).toHaveProperty('total_tokens')
      expect(engine.jobs[0]).toMatchObject({
        sampling: { seed: 7 },
        prompt: { parallelToolCalls: false },
      })
    },
  },
  {
    name: 'mistake 7: lists of parts in every role',
    async run({ fetch, engine }) {
      const content = [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]
      const roles = ['system', 'developer', 'user', 'assistant', 'tool']
      const messages = roles.map(role => ({ role, content }))
      expect((await fetch(CHAT, post({ messages }))).status).toBe(200)
      expect(engine.jobs[0]?.prompt).toMatchObject({
        messages: roles.map(role => ({ role, content: 'ab' })),
      })
    },
  },
  {
    name: 'mistake 8: null is absent, and both limits of tokens may be given',
    async run({ fetch, engine }) {
      const nulls = { model: null, n: null, logprobs: null, ignore_eos: null, enable_shell: null }
      const limits = { max_tokens: 9, max_completion_tokens: 2 }
      expect((await fetch(CHAT, post({ messages: 'hi', ...nulls, ...limits }))).status).toBe(200)
      expect((await fetch(COMPLETIONS, post({ prompt: 'hi', echo: null, ...nulls }))).status).toBe(
        200,
      )
      expect(engine.jobs[0]?.maxTokens).toBe(2)
    },
  },
  {
    name: 'mistake 9: input_audio is read, by a model that hears',
    scenario: { engine: { models: [{ ...scriptedModel, inputModalities: ['audio'] }] } },
    async run({ fetch, engine }) {
      const input_audio = { data: 'AAE=', format: 'wav' }
      const messages = [{ role: 'user', content: [{ type: 'input_audio', input_audio }] }]
      expect((await fetch(CHAT, post({ messages }))).status).toBe(200)
      const source = { kind: 'data', mimeType: 'audio/wav', base64: 'AAE=' }
      expect(engine.jobs[0]?.prompt).toMatchObject({
        messages: [{ content: [{ type: 'audio', source }] }],
      })
    },
  },
  {
    name: 'mistake 10: prompts as lists of texts, of ids, and of lists of ids',
    async run({ fetch }) {
      for (const [prompt, numChoices] of [
        [['a', 'b'], 4],
        [[104, 105], 2],
        [[[104], [105]], 4],
      ] as const) {
        const response = await fetch(COMPLETIONS, post({ prompt, n: 2, max_tokens: 1 }))
        const { choices } = (await response.json()) as { choices: { index: number }[] }
        expect(choices.map(({ index }) => index)).toEqual(
          Array.from({ length: numChoices }, (_, i) => i),
        )
      }
    },
  },
  {
    name: 'mistake 11: best_of keeps the most likely, and a suffix is what comes after',
    scenario: { engine: { events: candidateEvents } },
    async run({ fetch, engine }) {
      const ask = { prompt: 'a', n: 1, best_of: 2, suffix: 'z' }
      const body = await (await fetch(COMPLETIONS, post(ask))).json()
      expect(body).toMatchObject({
        choices: [{ index: 0, text: 'likely', logprobs: null }],
        usage: { completion_tokens: 3 },
      })
      expect((body as { choices: unknown[] }).choices).toHaveLength(1)
      expect(engine.jobs[0]).toMatchObject({ n: 2, prompt: { suffix: 'z' } })
    },
  },
]
