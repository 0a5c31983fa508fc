import { afterEach, expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { createScriptedEngine, scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { Api } from '../../runtime/conformance/api.ts'
import { type CheckResult, runChecks } from '../../runtime/conformance/runChecks.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { type Listener, listen } from '../../runtime/host/listen.ts'
import { appDefaults } from '../http/deployment.ts'
import { scriptedAssistant } from '../sdk/scriptedAssistant.ts'

/** What is wrong with a server: the answer it gives to `path` instead. */
type Breakage = (text: string, path: string, response: Response) => Response | string

let listener: Listener | undefined
afterEach(() => listener?.close(0))

/** Checks a server that does everything but for one thing. */
async function check(breakage: Breakage): Promise<CheckResult[]> {
  const engine = createScriptedEngine({
    models: [{ ...scriptedModel, embeddingSize: 8 }],
    // Obeys grammars and forced calls; everything else is its usual text.
    events: job => {
      const mustCall = job.prompt.kind === 'chat' && job.prompt.toolChoice?.mode === 'required'
      return mustCall || job.grammar !== undefined ? scriptedAssistant(job) : undefined
    },
  })
  const app = createApp({
    ...appDefaults,
    limits: { maxBodyBytes: 5_000_000 },
    auth: { apiKeys: ['k'] },
    engine: new DetachedJobs(engine),
  })
  const answer = async (request: Request) => {
    const { pathname } = new URL(request.url)
    const response = await app.fetch(request)
    const text = await response.clone().text()
    const broken = breakage(text, pathname, response)
    if (typeof broken !== 'string') return broken
    return broken === text ? response : new Response(broken, response)
  }
  listener = await listen(answer, { host: '127.0.0.1', port: 0, callers: 'clients' })
  const api = new Api(`http://127.0.0.1:${listener.port}/v1/`, 'k', 'default')
  const results: CheckResult[] = []
  for await (const result of runChecks(api)) results.push(result)
  return results
}

const failures = (results: CheckResult[]) =>
  results.filter(({ outcome }) => outcome === 'fail').map(({ group, name }) => `${group}: ${name}`)

/** The scripted engine compiles no schemas; what a real one does is in test/cli/conformance.test.ts. */
const notScripted = 'structured output: a schema that is none is refused'

test('a server of ours keeps every point', async () => {
  const results = await check(text => text)
  expect(failures(results)).toEqual([notScripted])
  expect(results.filter(({ outcome }) => outcome === 'skip')).toEqual([])
  expect(results.length).toBeGreaterThan(65)
})

const CHAT = '/v1/chat/completions'
const on =
  (path: string, change: (text: string) => string): Breakage =>
  (text, at) =>
    at === path ? change(text) : text

/** Each with the checks that must notice it; others may too. */
const breakages: [name: string, Breakage, flagged: string[]][] = [
  [
    'a stream without [DONE]',
    on(CHAT, text => text.replace('data: [DONE]\n\n', '')),
    ['chat streams: a stream says what the answer in one piece says'],
  ],
  [
    'a role in every chunk',
    on(CHAT, text =>
      text.replaceAll('"delta":{"content"', '"delta":{"role":"assistant","content"'),
    ),
    ['chat streams: the role comes first and once, the finish reason alone at the end'],
  ],
  [
    'an id for each chunk',
    on(CHAT, text => text.replace(/"id":"chatcmpl-/g, () => `"id":"${Math.random()}`)),
    ['chat streams: all chunks share id, created and model'],
  ],
  [
    'a usage chunk that nobody asked for',
    on(CHAT, text => text.replace('data: [DONE]', m => `${usageChunk}${m}`)),
    ['chat streams: no chunk is without choices unless usage was asked for'],
  ],
  [
    'numbers that do not add up',
    on(CHAT, text => text.replace(/"total_tokens":\d+/, '"total_tokens":7777')),
    ['chat: a completion has the shape clients read'],
  ],
  [
    'bytes of tokens as text',
    on(CHAT, text => text.replace(/"bytes":\[[\d,]*\]/g, '"bytes":"x"')),
    [
      'logprobs: every token has its bytes and its alternatives',
      'logprobs: a stream tells of the same tokens',
    ],
  ],
  [
    'the id of a call in each of its pieces',
    on(CHAT, text =>
      text.replaceAll('{"index":0,"function":{"arg', '{"index":0,"id":"call_2","function":{"arg'),
    ),
    ['tools: in a stream id, type and name come once, and arguments in pieces'],
  ],
  [
    'arguments that are not of their schema',
    on(CHAT, text => text.replaceAll('celsius', 'kelvin')),
    ['tools: a required call, its arguments of the schema'],
  ],
  [
    'outputs that are not of their schema',
    on(CHAT, text => text.replaceAll('"content":"{', '"content":"sure: {')),
    [
      'structured output: an output is of its JSON schema',
      'structured output: a json_object is an object',
    ],
  ],
  [
    'logprobs of completions in the shape of chat',
    on('/v1/completions', text =>
      text.replace(/"logprobs":\{.*?\]\}/, '"logprobs":{"content":[]}'),
    ),
    ['completions: echo with logprobs scores the prompt, in the legacy shape'],
  ],
  [
    'events of a response without output_text.done',
    on('/v1/responses', text => text.replace(/event: response\.output_text\.done\n.*\n\n/, '')),
    [
      'responses: events are numbered from 0 without gaps, from created to the end',
      'responses: output_text.done and the end hold the text of the deltas',
    ],
  ],
  [
    'items of a response without their id',
    on('/v1/responses', text => text.replace(/"item_id":"[^"]*",/g, '')),
    ['responses: every item is opened, told of by its id, and closed'],
  ],
  [
    'a response that is cut off and says completed',
    on('/v1/responses', text => text.replaceAll('"incomplete"', '"completed"')),
    ['responses: a response has every key clients read'],
  ],
  [
    'a response that forgets to be deleted',
    (text, path, response) =>
      path.startsWith('/v1/responses/') && response.status === 404 ? new Response('{}') : text,
    [
      'responses: a stored response is fetched, listed and deleted',
      'responses: store: false is kept',
    ],
  ],
  [
    'events of a message without their names',
    on('/v1/messages', text => text.replace(/^event: .*\n/gm, '')),
    ['anthropic messages: events come in order, each with its name'],
  ],
  [
    'a message that never stops',
    on('/v1/messages', text => text.replace(/event: message_stop\n.*\n\n/, '')),
    ['anthropic messages: events come in order, each with its name'],
  ],
  [
    'a stop sequence that is not told',
    on('/v1/messages', text =>
      text.replace('"stop_reason":"stop_sequence"', '"stop_reason":"end_turn"'),
    ),
    ['anthropic messages: a matched stop sequence is told'],
  ],
  [
    'tokens counted in another way',
    on('/v1/messages/count_tokens', () => '{"input_tokens":1}'),
    ['anthropic messages: tokens are counted as they are used'],
  ],
  [
    'base64 of big-endian numbers',
    on('/v1/embeddings', text =>
      text.replace(/"embedding":"[^"]*"/g, m => `${m.slice(0, 13)}AAAA${m.slice(17)}`),
    ),
    ['embeddings: base64 holds the same numbers as little-endian float32'],
  ],
  [
    'errors in plain text',
    (text, _, { status }) => (status < 400 ? text : new Response('oh no', { status: 422 })),
    [
      'errors: a wrong type is 400 and names the field',
      'errors: an unknown model is 404',
      'errors: a wrong method is 405',
      'chat streams: a mistake in a request to stream is a status, not an event',
      'anthropic messages: failures have the shape of Anthropic',
      'headers and CORS: a wrong key is 401, in either header',
    ],
  ],
  [
    'an unknown model that is a failure of the server',
    (text, _, { status }) => (status === 404 ? new Response(text, { status: 500 }) : text),
    ['models: an unknown model is 404', 'errors: an unknown model is 404'],
  ],
  [
    'no ids of requests',
    (text, _, { status, headers }) => {
      const kept = [...headers].filter(([name]) => name !== 'x-request-id')
      return new Response(text, { status, headers: kept })
    },
    ['headers and CORS: every answer has an x-request-id, that of the request if it has one'],
  ],
  [
    'failures without CORS headers',
    (text, _, { status, headers }) =>
      status < 400
        ? text
        : new Response(text, {
            status,
            headers: { 'content-type': headers.get('content-type') ?? '' },
          }),
    ['headers and CORS: pages can read answers and failures, and the id of both'],
  ],
]

const usageChunk = `data: ${JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [],
})}\n\n`

test.each(breakages)('%s is flagged', async (_, breakage, flagged) => {
  const found = failures(await check(breakage)).filter(name => name !== notScripted)
  expect(found).toEqual(expect.arrayContaining(flagged))
  // Whoever reads the list must see what is wrong, not that everything is.
  expect(found.length).toBeLessThan(25)
})
