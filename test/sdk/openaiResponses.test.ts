import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type ScriptedOptions, scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { eventually } from '../http/httpSuite.ts'
import { listenScripted } from '../http/nodeServer.ts'
import { usageEvent } from '../http/usageEvent.ts'
import { responsesChecks } from './responsesChecks.ts'

const clientOf = ({ origin }: { origin: string }) =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'EMPTY', maxRetries: 0 })

describe('responses of openai for Node', () => {
  let server: Awaited<ReturnType<typeof listenScripted>>
  beforeAll(async () => {
    server = await listenScripted()
  })
  afterAll(() => server.close())

  for (const { name, run } of responsesChecks) {
    test(name, () => run(clientOf(server), scriptedModel.id))
  }
})

async function withClient(
  engine: ScriptedOptions,
  run: (client: OpenAI, server: Awaited<ReturnType<typeof listenScripted>>) => Promise<void>,
): Promise<void> {
  const server = await listenScripted({ engine })
  try {
    await run(clientOf(server), server)
  } finally {
    await server.close()
  }
}

const weather = {
  type: 'function' as const,
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: true,
}
const call = (n: number, name: string, id: string, input: string[]) =>
  input.map((piece, i) => ({
    kind: 'tool_call_delta' as const,
    index: 0,
    call: n,
    ...(i === 0 && { name, id }),
    arguments: piece,
  }))

test('structured output is parsed', () =>
  withClient({ reply: () => '{"answer":5}' }, async (client, { engine }) => {
    const format = zodTextFormat(z.object({ answer: z.number() }), 'answer')
    const request = { model: 'default', input: 'How many?', text: { format } }
    const response = await client.responses.parse(request)
    expect(response.output_parsed).toEqual({ answer: 5 })
    const streamed = await client.responses.stream(request).finalResponse()
    expect(streamed.output_parsed).toEqual({ answer: 5 })
    expect(engine.jobs[0]?.grammar).toMatchObject({ type: 'json_schema' })
  }))

test('a loop over tools: calls, outputs, and what was thought comes back', () =>
  withClient(
    {
      events: [
        [{ kind: 'reasoning', index: 0, text: 'I need the weather.' }],
        call(0, 'weather', 'aaaaaaaaaaaaaaaaaaaaaaaa', ['{"ci', 'ty":"Rome"}']),
        call(1, 'note', 'bbbbbbbbbbbbbbbbbbbbbbbb', ['Rome', ' is warm']),
        [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usageEvent],
      ],
    },
    async (client, { engine }) => {
      const request = {
        model: 'default',
        store: false,
        include: ['reasoning.encrypted_content' as const],
        reasoning: { summary: 'auto' as const },
        tools: [weather, { type: 'custom' as const, name: 'note' }],
      }
      const input = [{ role: 'user' as const, content: 'Weather in Rome?' }]
      const stream = client.responses.stream({ ...request, input })
      const seen: string[] = []
      for await (const { type } of stream) seen.push(type)
      const final = await stream.finalResponse()
      expect(final.output).toMatchObject([
        { type: 'reasoning', summary: [{ text: 'I need the weather.' }] },
        { type: 'function_call', name: 'weather', parsed_arguments: { city: 'Rome' } },
        { type: 'custom_tool_call', name: 'note', input: 'Rome is warm' },
      ])
      expect(seen).toContain('response.reasoning_summary_text.delta')
      expect(seen).toContain('response.custom_tool_call_input.delta')
      const [thought, ...calls] = final.output
      if (thought?.type !== 'reasoning') throw new Error('no reasoning')
      // As clients do that keep only what is opaque to them.
      const { content: _, ...sealed } = thought
      await client.responses.create({
        ...request,
        input: [
          ...input,
          { ...sealed, summary: [] },
          ...calls.map(item => {
            if (item.type === 'function_call') {
              const { parsed_arguments: _, ...plain } = item
              return plain
            }
            return item as OpenAI.Responses.ResponseCustomToolCall
          }),
          { type: 'function_call_output', call_id: 'call_aaaaaaaaaaaaaaaaaaaaaaaa', output: '20' },
          {
            type: 'custom_tool_call_output',
            call_id: 'call_bbbbbbbbbbbbbbbbbbbbbbbb',
            output: 'noted',
          },
        ],
      })
      expect(engine.jobs[1]?.prompt).toMatchObject({
        messages: [
          { role: 'user' },
          {
            role: 'assistant',
            reasoning: 'I need the weather.',
            toolCalls: [
              { name: 'weather', arguments: '{"city":"Rome"}' },
              { name: 'note', arguments: 'Rome is warm' },
            ],
          },
          { role: 'tool', content: '20', toolCallId: 'call_aaaaaaaaaaaaaaaaaaaaaaaa' },
          { role: 'tool', content: 'noted' },
        ],
      })
    },
  ))

test('what the client runs itself has items of its own, and bad arguments are not lost', () =>
  withClient(
    {
      events: [
        call(0, 'shell', 'a', ['{"commands":["ls","pwd"],"timeout_ms":5}']),
        call(1, 'apply_patch', 'b', ['{"type":"delete_file","path":"x"}']),
        call(2, 'local_shell', 'c', ['{"command":["ls"]}']),
        call(3, 'local_shell', 'd', ['{"command":', '"ls"}']),
        [{ kind: 'finish', index: 0, reason: 'tool_calls' }, usageEvent],
      ],
    },
    async client => {
      const stream = client.responses.stream({
        model: 'default',
        input: 'hi',
        tools: [{ type: 'shell' }, { type: 'apply_patch' }, { type: 'local_shell' }],
      })
      const { output } = await stream.finalResponse()
      expect(output).toMatchObject([
        { type: 'shell_call', action: { commands: ['ls', 'pwd'], timeout_ms: 5 } },
        { type: 'apply_patch_call', operation: { type: 'delete_file', path: 'x' } },
        { type: 'local_shell_call', action: { type: 'exec', command: ['ls'], env: {} } },
        { type: 'function_call', name: 'local_shell', arguments: '{"command":"ls"}' },
      ])
    },
  ))

test('breaking off a stream ends the job', () =>
  withClient({ stepDelayMs: 20 }, async (client, { engine }) => {
    const request = { model: 'default', input: 'hi', stream: true as const }
    for await (const { type } of await client.responses.create(request)) {
      if (type === 'response.output_text.delta') break
    }
    await eventually(() => engine.numActive === 0 && engine.numAborted === 1)
  }))

test('a failed stream has a final response that says so', () =>
  withClient(
    { failAfterSteps: { steps: 1, error: { kind: 'internal', message: 'device lost' } } },
    async client => {
      const final = await client.responses.stream({ model: 'default', input: 'hi' }).finalResponse()
      expect(final).toMatchObject({ status: 'failed', error: { code: 'server_error' } })
    },
  ))
