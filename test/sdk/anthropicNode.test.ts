import Anthropic, { APIError } from '@anthropic-ai/sdk'
import { afterEach, expect, test } from 'vitest'
import { type ScriptedOptions, scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import type { EventBody } from '../../edge/scripted/scriptedRun.ts'
import { eventually } from '../http/httpSuite.ts'
import { listenScripted } from '../http/nodeServer.ts'

type Server = Awaited<ReturnType<typeof listenScripted>>
const servers: Server[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => server.close()))
})

async function connect(engine: ScriptedOptions = {}) {
  const server = await listenScripted({ engine })
  servers.push(server)
  return {
    server,
    client: new Anthropic({ baseURL: server.origin, apiKey: 'any', maxRetries: 0 }),
  }
}

const usage: EventBody = {
  kind: 'usage',
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens: 6,
  reasoningTokens: 2,
  promptMs: 1,
  completionMs: 1,
}
const calling: EventBody[][] = [
  [{ kind: 'reasoning', index: 0, text: 'Hm.' }],
  [{ kind: 'text', index: 0, text: 'Looking.' }],
  [{ kind: 'tool_call_delta', index: 0, call: 0, id: 'aaa', name: 'get_weather', arguments: '' }],
  [{ kind: 'tool_call_delta', index: 0, call: 0, arguments: '{"city":' }],
  [{ kind: 'tool_call_delta', index: 0, call: 0, arguments: '"Rome"}' }],
  [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usage],
]
const input_schema = { type: 'object' as const, properties: { city: { type: 'string' as const } } }
const messages = [{ role: 'user' as const, content: 'hi' }]
const request = { model: 'default', max_tokens: 40, messages }
const tools = [{ name: 'get_weather', input_schema }]

test('a message', async () => {
  const { client } = await connect()
  const { data, request_id } = await client.messages.create(request).withResponse()
  expect(request_id).toMatch(/^req_/)
  expect(data).toMatchObject({ model: scriptedModel.id, role: 'assistant', type: 'message' })
  expect(data.content).toEqual([{ type: 'text', text: expect.any(String), citations: null }])
  expect(data.usage.output_tokens).toBeGreaterThan(0)
})

test("the client's accumulator makes of a stream what comes in one piece", async () => {
  const { client } = await connect({ events: calling })
  const whole = await client.messages.create({ ...request, tools })
  const stream = client.messages.stream({ ...request, tools })
  const seen: string[] = []
  stream.on('text', text => seen.push(text))
  stream.on('thinking', text => seen.push(text))
  stream.on('inputJson', part => seen.push(part))
  const final = await stream.finalMessage()
  expect(seen).toEqual(['Hm.', 'Looking.', '{"city":', '"Rome"}'])
  expect(final.content).toEqual(whole.content)
  expect([final.stop_reason, final.usage]).toEqual(['tool_use', whole.usage])
})

test('a loop of tool calls', async () => {
  const { client, server } = await connect({ events: calling })
  const first = await client.messages.create({ ...request, tools })
  const use = first.content.find(block => block.type === 'tool_use')
  expect(use).toMatchObject({ id: 'toolu_aaa', name: 'get_weather', input: { city: 'Rome' } })
  await client.messages.create({
    ...request,
    tools,
    messages: [
      ...messages,
      { role: 'assistant', content: first.content },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: use?.id ?? '', content: 'sunny' }],
      },
    ],
  })
  expect(server.engine.jobs[1]?.prompt).toMatchObject({
    messages: [
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: 'Looking.',
        reasoning: 'Hm.',
        toolCalls: [{ id: 'toolu_aaa', name: 'get_weather', arguments: '{"city":"Rome"}' }],
      },
      { role: 'tool', content: 'sunny', toolCallId: 'toolu_aaa' },
    ],
  })
})

test('counting tokens', async () => {
  const { client } = await connect()
  const { input_tokens } = await client.messages.countTokens({ model: 'default', messages, tools })
  const { usage: used } = await client.messages.create({ ...request, tools })
  expect(input_tokens).toBe(used.input_tokens)
})

test('failures are of the classes the client has for them', async () => {
  const { client } = await connect()
  await expect(client.messages.create({ ...request, model: 'claude-x' })).rejects.toThrow(
    Anthropic.NotFoundError,
  )
  await expect(client.messages.create({ ...request, max_tokens: 0 })).rejects.toThrow(
    Anthropic.BadRequestError,
  )
  const error = { kind: 'internal' as const, message: 'device lost' }
  const broken = await connect({ failAfterSteps: { steps: 1, error } })
  const stream = broken.client.messages.stream(request)
  await expect(stream.finalMessage()).rejects.toThrow(APIError)
})

test('aborting a stream ends the job', async () => {
  const { client, server } = await connect({ stepDelayMs: 20 })
  const stream = client.messages.stream(request)
  await new Promise(resolve => stream.once('text', resolve))
  stream.abort()
  await expect(stream.finalMessage()).rejects.toThrow()
  await eventually(() => server.engine.numActive === 0)
  expect(server.engine.numAborted).toBe(1)
})
