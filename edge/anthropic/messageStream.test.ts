import { describe, expect, test } from 'vitest'
import type { GenerateEvent, Usage } from '../engine.ts'
import type { EventBody } from '../scripted/scriptedRun.ts'
import type { MessageFormat } from './messageBody.ts'
import { createMessageCollector } from './messageResponse.ts'
import { MessageStream } from './messageStream.ts'

const reply = { id: 'msg_1', created: 7, model: 'org/model', fingerprint: 'fp_1' }
const format: MessageFormat = { showThinking: true, maxTokens: 100 }
const usage: { kind: 'usage' } & Usage = {
  kind: 'usage',
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens: 6,
  reasoningTokens: 2,
  promptMs: 20,
  completionMs: 200,
}
const text = (value: string): EventBody => ({ kind: 'text', index: 0, text: value })
const thought = (value: string): EventBody => ({ kind: 'reasoning', index: 0, text: value })
const call = (k: number, args: string, start?: { id: string; name: string }): EventBody => ({
  kind: 'tool_call_delta',
  index: 0,
  call: k,
  arguments: args,
  ...start,
})
const finish = (reason: 'stop' | 'length' | 'tool_calls', stopString?: string): EventBody => ({
  kind: 'finish',
  index: 0,
  reason,
  ...(stopString !== undefined && { stopString }),
})

/** @param sizes how many events come at a time */
function stream(bodies: EventBody[], asked = format, sizes = bodies.length): string {
  const encoder = new MessageStream({ reply, accepted: usage, requestId: 'req_1' }, asked)
  let frames = encoder.begin?.() ?? ''
  const events = bodies.map((body, seq) => ({ v: 1, seq, ...body }) as GenerateEvent)
  for (let i = 0; i < events.length; i += sizes)
    frames += encoder.encode(events.slice(i, i + sizes))
  return frames
}

function whole(bodies: EventBody[], asked = format) {
  const { take, result } = createMessageCollector(reply, asked)
  take(bodies.map((body, seq) => ({ v: 1, seq, ...body }) as GenerateEvent))
  return result().message
}

const agentTurn = [
  thought('Two '),
  thought('cities.'),
  text('Look'),
  text('ing.'),
  call(0, '', { id: 'aaa', name: 'get_weather' }),
  call(0, '{"city":'),
  call(0, '"Rome"}'),
  call(1, '{}', { id: 'bbb', name: 'list' }),
  finish('tool_calls'),
  usage,
]

describe('a stream', () => {
  test('exact frames of thinking, text and two calls', () => {
    const inputUsage =
      '"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"cache_creation":null,' +
      '"inference_geo":null,"server_tool_use":null,"service_tier":"standard","speed":null'
    const frames = [
      `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"org/model","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,"diagnostics":null,"usage":{${inputUsage},"output_tokens":1,"output_tokens_details":null}}}`,
      '{"type":"ping"}',
      '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}',
      '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Two "}}',
      '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"cities."}}',
      '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"local"}}',
      '{"type":"content_block_stop","index":0}',
      '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":null}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Look"}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ing."}}',
      '{"type":"content_block_stop","index":1}',
      '{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_aaa","name":"get_weather","input":{},"caller":{"type":"direct"}}}',
      '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"city\\":"}}',
      '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\\"Rome\\"}"}}',
      '{"type":"content_block_stop","index":2}',
      '{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_bbb","name":"list","input":{},"caller":{"type":"direct"}}}',
      '{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}',
      '{"type":"content_block_stop","index":3}',
      `{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null,"container":null},"usage":{${inputUsage},"output_tokens":6,"output_tokens_details":{"thinking_tokens":2}}}`,
      '{"type":"message_stop"}',
    ]
    const expected = frames
      .map(data => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`)
      .join('')
    expect(stream(agentTurn)).toBe(expected)
  })

  test('does not depend on how many events come at a time', () => {
    for (let size = 1; size < agentTurn.length; size++) {
      expect(stream(agentTurn, format, size)).toBe(stream(agentTurn))
    }
  })

  test('an answer of nothing has no blocks', () => {
    const types = stream([finish('stop'), usage]).match(/^event: .*/gm)
    expect(types).toEqual([
      'event: message_start',
      'event: ping',
      'event: message_delta',
      'event: message_stop',
    ])
  })

  test('a failure is an error event and the end', () => {
    const error = { kind: 'unavailable', message: 'gone' } as const
    const frames = stream([text('a'), { kind: 'error', error }, text('b')])
    expect(frames).toMatch(
      /event: error\ndata: \{"type":"error","error":\{"type":"api_error","message":"gone"\},"request_id":"req_1"\}\n\n$/,
    )
    expect(frames).not.toContain('message_stop')
  })
})

describe('an answer in one piece', () => {
  test('has the blocks of the stream', () => {
    expect(whole(agentTurn)).toMatchObject({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'org/model',
      stop_reason: 'tool_use',
      content: [
        { type: 'thinking', thinking: 'Two cities.', signature: 'local' },
        { type: 'text', text: 'Looking.', citations: null },
        { type: 'tool_use', id: 'toolu_aaa', name: 'get_weather', input: { city: 'Rome' } },
        { type: 'tool_use', id: 'toolu_bbb', name: 'list', input: {} },
      ],
      usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 6 },
    })
  })

  test('arguments that are not JSON are handed on', () => {
    const start = { id: 'a', name: 'f' }
    const { content } = whole([call(0, '{"x":', start), finish('length'), usage])
    expect(content).toMatchObject([{ type: 'tool_use', input: { arguments: '{"x":' } }])
  })

  test('thinking that is not to be shown leaves its block', () => {
    const hidden = { ...format, showThinking: false }
    expect(whole([thought('hm'), text('a'), finish('stop'), usage], hidden).content).toEqual([
      { type: 'thinking', thinking: '', signature: 'local' },
      { type: 'text', text: 'a', citations: null },
    ])
  })

  test.each<[EventBody, number | undefined, object]>([
    [finish('stop'), 100, { stop_reason: 'end_turn', stop_sequence: null }],
    [finish('stop', 'END'), 100, { stop_reason: 'stop_sequence', stop_sequence: 'END' }],
    [finish('length'), 6, { stop_reason: 'max_tokens' }],
    [finish('length'), 100, { stop_reason: 'model_context_window_exceeded' }],
    [finish('length'), undefined, { stop_reason: 'model_context_window_exceeded' }],
  ])('%j with a limit of %s', (end, maxTokens, expected) => {
    expect(whole([text('a'), end, usage], { ...format, maxTokens })).toMatchObject(expected)
  })

  test('an engine that ends early, or fails, throws', () => {
    expect(() => whole([text('a')])).toThrow('ended the job early')
    const error = { kind: 'internal', message: 'device lost' } as const
    expect(() => whole([{ kind: 'error', error }])).toThrow('device lost')
  })
})
