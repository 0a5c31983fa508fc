import { expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { EngineError } from '../../edge/engine.ts'
import { createScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { appDefaults } from '../http/deployment.ts'

/** Takes nothing: what is measured is how long the edge looks at a body, during which nobody else is served. */
const engine = {
  ...createScriptedEngine(),
  submit: () => Promise.reject(new EngineError({ kind: 'busy', message: 'no' })),
}
const app = createApp({ ...appDefaults, limits: { maxBodyBytes: 50 * 2 ** 20 }, engine })

const many = (n: number, make: (i: number) => unknown) =>
  Array.from({ length: n }, (_, i) => make(i))
const turn = (role: string, content: unknown = 'a') => ({ role, content })

test.each<[string, string, object]>([
  ['turns of a user', '/v1/messages', { messages: many(160_000, () => turn('user')) }],
  [
    'turns of an assistant',
    '/v1/messages',
    { messages: [turn('user'), ...many(160_000, () => turn('assistant'))] },
  ],
  [
    'turns with a call each',
    '/v1/messages',
    {
      messages: [
        turn('user'),
        ...many(40_000, i =>
          turn('assistant', [{ type: 'tool_use', id: `t${i}`, name: 'f', input: {} }]),
        ),
      ],
    },
  ],
  [
    'references to items',
    '/v1/responses',
    {
      input: [
        ...many(60_000, i => ({ type: 'message', id: `m${i}`, ...turn('user') })),
        ...many(60_000, i => ({ type: 'item_reference', id: `m${i}` })),
      ],
    },
  ],
  [
    'tools of a namespace',
    '/v1/responses',
    {
      input: 'a',
      tools: [
        {
          type: 'namespace',
          name: 'n',
          tools: many(50_000, i => ({ type: 'function', name: `f${i}`, parameters: {} })),
        },
      ],
    },
  ],
])('%s are read in time that is proportional to their number', async (_, path, body) => {
  const text = JSON.stringify({ max_tokens: 1, store: false, ...body })
  const startMs = performance.now()
  const response = await app.request(path, { method: 'POST', body: text })
  expect(response.status).toBe(429)
  // About a second; 14 to 47 when the time was proportional to the square.
  expect(performance.now() - startMs).toBeLessThan(8000)
})
