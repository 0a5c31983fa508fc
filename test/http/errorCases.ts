import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import type { EngineErrorData } from '../../edge/engine.ts'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { type HttpCase, post } from './httpSuite.ts'

interface Expected {
  status: number
  type?: string
  code: string | null
  param?: string | null
  message?: RegExp
  headers?: Record<string, string>
}

const CHAT = '/v1/chat/completions'
const chat = (fields: object) => post({ messages: 'hi', ...fields })

function refused(
  name: string,
  path: string,
  init: RequestInit | undefined,
  expected: Expected,
  scenario: HttpCase['scenario'] = {},
): HttpCase {
  return {
    name,
    scenario,
    async run({ fetch }) {
      const response = await fetch(path, init)
      expect(response.status).toBe(expected.status)
      expect(response.headers.get('content-type')).toMatch(/^application\/json/)
      for (const [header, value] of Object.entries(expected.headers ?? {})) {
        expect([header, response.headers.get(header)]).toEqual([header, value])
      }
      const { error, message, ...rest } = (await response.json()) as {
        error: Record<string, unknown>
        message: string
      }
      expect(rest).toEqual({})
      expect(error).toEqual({
        message,
        type: expected.type ?? 'invalid_request_error',
        param: expected.param ?? null,
        code: expected.code,
      })
      expect(message).toMatch(expected.message ?? /./)
    },
  }
}

/** The status must be real with `stream: true` too. */
function refusedByEngine(name: string, error: EngineErrorData, expected: Expected): HttpCase[] {
  return [false, true].map(stream =>
    refused(`${name}, stream ${stream}`, CHAT, chat({ stream }), expected, {
      engine: { failSubmit: error },
    }),
  )
}

export const errorCases: HttpCase[] = [
  {
    name: 'fields named like the properties of every object are nothing special',
    async run({ fetch, engine }) {
      const body =
        '{"messages": "hi", "max_tokens": 1, "__proto__": {"n": 7}, "constructor": {"n": 7}}'
      expect((await fetch(CHAT, post(body))).status).toBe(200)
      expect(engine.jobs[0]?.n).toBe(1)
      for (const name of ['__proto__', 'constructor', 'toString']) {
        expect((await fetch(`/v1/models/${name}`)).status).toBe(404)
        expect((await fetch(CHAT, chat({ model: name }))).status).toBe(404)
      }
    },
  },
  {
    name: 'base64 that is nearly all padding is refused at once',
    async run({ fetch }) {
      const url = `data:image/png;base64,${'='.repeat(90_000)}A`
      const content = [{ type: 'image_url', image_url: { url } }]
      const startMs = performance.now()
      const response = await fetch(CHAT, post({ messages: [{ role: 'user', content }] }))
      expect(response.status).toBe(400)
      // What looks at every `=` for every `=` takes 20 s.
      expect(performance.now() - startMs).toBeLessThan(5000)
    },
  },
  refused('invalid JSON', CHAT, post('{"messages": "hi",}'), {
    status: 400,
    code: null,
    message: /position 18/,
  }),
  refused('an empty body', CHAT, { method: 'POST' }, { status: 400, code: null, message: /empty/ }),
  refused('JSON that is no object', CHAT, post([1]), { status: 400, code: null }),
  refused('JSON nested too deep, wrong or not', CHAT, post('['.repeat(50_000)), {
    status: 400,
    code: null,
    message: /deeper than 200 levels at position 200\./,
  }),
  refused(
    'JSON nested too deep in a field that is kept',
    '/v1/responses',
    post(`{"input": "hi", "metadata": ${'{"a":'.repeat(9000)}1${'}'.repeat(9001)}`),
    { status: 400, code: null, message: /deeper than 200 levels/ },
  ),
  refused('a wrong type', CHAT, chat({ temperature: 'hot' }), {
    status: 400,
    code: 'invalid_value',
    param: 'temperature',
    message: /"hot".*between 0 and 2/,
  }),
  refused('out of range, in a stream', CHAT, chat({ top_p: 7, stream: true }), {
    status: 400,
    code: 'invalid_value',
    param: 'top_p',
  }),
  refused('a missing field', CHAT, post({ model: 'default' }), {
    status: 400,
    code: 'missing_required_parameter',
    param: 'messages',
  }),
  refused('a field inside a message', CHAT, post({ messages: [{ role: 'user' }] }), {
    status: 400,
    code: 'missing_required_parameter',
    param: 'messages[0].content',
  }),
  refused('what this server cannot do', CHAT, chat({ modalities: ['audio'] }), {
    status: 400,
    code: 'unsupported_value',
    param: 'modalities',
  }),
  refused(
    'media for a model that reads text',
    CHAT,
    post({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'x' }] }] }),
    { status: 400, code: 'unsupported_media', param: 'messages[0].content[0]' },
  ),
  refused(
    'media that cannot be decoded',
    CHAT,
    post({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'data:x' }] }] }),
    { status: 400, code: 'invalid_image', param: 'messages[0].content[0].image_url' },
  ),
  refused('an unknown adapter', CHAT, chat({ adapter: 'x' }), {
    status: 404,
    code: 'model_not_found',
    param: 'adapter',
  }),
  refused('an unknown model', CHAT, chat({ model: 'gpt-9' }), {
    status: 404,
    code: 'model_not_found',
    param: 'model',
    message: /gpt-9.*scripted\/words-1/,
  }),
  refused('a long chat', CHAT, chat({ max_tokens: 5000 }), {
    status: 400,
    code: 'context_length_exceeded',
    param: 'messages',
    message: /4096.*50\d\d/,
  }),
  refused('a long prompt', '/v1/completions', post({ prompt: 'x'.repeat(5000) }), {
    status: 400,
    code: 'context_length_exceeded',
    param: 'prompt',
  }),
  refused('completions without a prompt', '/v1/completions', post({}), {
    status: 400,
    code: 'missing_required_parameter',
    param: 'prompt',
  }),
  refused(
    'a model that is still loading',
    CHAT,
    chat({}),
    {
      status: 503,
      type: 'server_error',
      code: 'model_loading',
      headers: { 'retry-after': '2', 'retry-after-ms': '2000' },
    },
    { engine: { models: [{ ...scriptedModel, status: 'loading' }] } },
  ),
  refused(
    'a full queue',
    CHAT,
    chat({}),
    {
      status: 429,
      type: 'rate_limit_error',
      code: 'queue_full',
      headers: { 'retry-after': '2', 'retry-after-ms': '1500' },
    },
    { engine: { maxRunning: 0, maxWaiting: 0 } },
  ),
  refused('an unknown URL', '/v1/nowhere', undefined, {
    status: 404,
    code: 'unknown_url',
    message: /GET \/v1\/nowhere.*\/v1/,
  }),
  refused('/v1 twice', '/v1/v1/models', undefined, {
    status: 404,
    code: 'unknown_url',
    message: /twice: use the base URL http/,
  }),
  refused('a wrong method', CHAT, undefined, {
    status: 405,
    code: 'method_not_allowed',
    headers: { allow: 'POST, OPTIONS' },
  }),
  refused('a wrong method on a model', '/v1/models/a/b', post({}), {
    status: 405,
    code: 'method_not_allowed',
    headers: { allow: 'GET, HEAD, OPTIONS' },
  }),
  refused('a large body', CHAT, chat({ user: 'x'.repeat(100_000) }), {
    status: 413,
    code: 'request_too_large',
    message: /100000 bytes/,
  }),
  refused(
    'text that is not UTF-8',
    CHAT,
    { method: 'POST', body: Uint8Array.of(0x22, 0xff, 0x22) },
    {
      status: 400,
      code: null,
      message: /UTF-8/,
    },
  ),
  ...refusedByEngine(
    'a field the engine refuses',
    { kind: 'invalid', message: 'no', param: 'sampling.logitBias' },
    { status: 400, code: 'invalid_value', param: 'logit_bias' },
  ),
  ...refusedByEngine(
    'a grammar that does not compile',
    { kind: 'invalid_grammar', message: 'no' },
    { status: 400, code: 'invalid_grammar' },
  ),
  refused(
    'a schema that does not compile',
    CHAT,
    chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } }),
    {
      status: 400,
      code: 'invalid_json_schema',
      param: 'response_format.json_schema.schema',
    },
    { engine: { failSubmit: { kind: 'invalid_grammar', message: 'no', param: 'grammar' } } },
  ),
  refused(
    'remote media out of reach',
    CHAT,
    post({
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'http://10.0.0.1/' }] }],
    }),
    { status: 400, code: 'failed_to_download_image', param: 'messages[0].content[0]' },
    {
      engine: {
        failSubmit: {
          kind: 'unreachable_media',
          message: 'no',
          param: 'prompt.messages.0.content.0',
        },
        models: [{ ...scriptedModel, inputModalities: ['image'] }],
      },
    },
  ),
  ...refusedByEngine(
    'an engine that fails',
    { kind: 'internal', message: 'no' },
    { status: 500, type: 'server_error', code: 'internal_error' },
  ),
  ...refusedByEngine(
    'an engine out of reach',
    { kind: 'unavailable', message: 'no' },
    { status: 502, type: 'server_error', code: 'upstream_error' },
  ),
  ...refusedByEngine(
    'an engine that takes too long',
    { kind: 'timeout', message: 'no' },
    { status: 504, type: 'server_error', code: 'timeout' },
  ),
  ...refusedByEngine(
    'a server that shuts down',
    { kind: 'draining', message: 'no' },
    {
      status: 503,
      type: 'server_error',
      code: 'server_shutting_down',
      headers: { 'retry-after': '1' },
    },
  ),
  refused(
    'a failure during the run, not streamed',
    CHAT,
    chat({}),
    { status: 500, type: 'server_error', code: 'internal_error', message: /device lost/ },
    {
      engine: { failAfterSteps: { steps: 2, error: { kind: 'internal', message: 'device lost' } } },
    },
  ),
  {
    name: 'a body that never ends is cut off at the limit',
    async run({ fetch }) {
      let numSent = 0
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          numSent += 10_000
          controller.enqueue(new Uint8Array(10_000).fill(0x20))
          // Beyond the limit nothing more comes and it does not end: a sender that goes on may be reset before it reads the answer.
          const isBeyond = numSent > 200_000
          await new Promise<void>(resolve => {
            if (!isBeyond) setTimeout(resolve)
          })
        },
      })
      const response = await fetch(CHAT, { method: 'POST', body, duplex: 'half' })
      expect(response.status).toBe(413)
      expect(numSent).toBeGreaterThan(100_000)
    },
  },
  {
    name: 'a compressed body is refused for what it is',
    async run({ fetch }) {
      const send = (body: string | Buffer<ArrayBuffer>, encoding: string) =>
        fetch(CHAT, { method: 'POST', body, headers: { 'content-encoding': encoding } })
      const body = JSON.stringify({ messages: 'hi', max_tokens: 1 })
      const response = await send(gzipSync(body), 'gzip')
      expect(response.status).toBe(415)
      expect(response.headers.get('accept-encoding')).toBe('identity')
      expect(await response.json()).toMatchObject({
        error: { code: 'unsupported_content_encoding', message: expect.stringContaining("'gzip'") },
      })
      expect((await send(body, 'identity')).status).toBe(200)
    },
  },
]
