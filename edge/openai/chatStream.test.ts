import { describe, expect, test } from 'vitest'
import type { FinishReason, GenerateEvent, TokenLogprob } from '../engine.ts'
import { createCollector } from '../jobs/collect.ts'
import type { ChatFormat } from './chatRequest.ts'
import { chatResponse } from './chatResponse.ts'
import { ChatStream } from './chatStream.ts'

const reply = { id: 'chatcmpl-1', created: 7, model: 'org/model', fingerprint: 'fp_1' }
const plain: ChatFormat = {
  numChoices: 1,
  logprobs: false,
  includeReasoning: false,
  calls: { customTools: new Set(['shell']), functionCall: false },
  streamUsage: 'none',
  strictOpenai: true,
}
const token: TokenLogprob = {
  id: 5,
  token: '\ufffd',
  bytes: [0xc3],
  logprob: -0.5,
  top: [{ id: 5, token: '\ufffd', bytes: [0xc3], logprob: -0.5 }],
}
const usageFields = {
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens: 6,
  reasoningTokens: 2,
  promptMs: 20,
  completionMs: 200,
}
const usage: GenerateEvent = { v: 1, seq: 9, kind: 'usage', ...usageFields }
const text = (index: number, value: string, logprobs?: TokenLogprob[]): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'text',
  index,
  text: value,
  ...(logprobs && { logprobs }),
})
const thought = (value: string): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'reasoning',
  index: 0,
  text: value,
})
const finish = (index: number, reason: FinishReason = 'stop'): GenerateEvent => ({
  v: 1,
  seq: 0,
  kind: 'finish',
  index,
  reason,
})
const strictUsage = {
  prompt_tokens: 10,
  completion_tokens: 6,
  total_tokens: 16,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 2,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
}
const opening = { role: 'assistant', content: '', refusal: null }

function encode(format: Partial<ChatFormat>, steps: GenerateEvent[][]): string {
  const stream = new ChatStream(reply, { ...plain, ...format }, 4)
  return steps.map(step => stream.encode(step)).join('')
}

/** Data of all frames; the last must be `[DONE]`. */
function chunks(format: Partial<ChatFormat>, steps: GenerateEvent[][]) {
  const frames = encode(format, steps).split('\n\n')
  expect(frames.splice(-2)).toEqual(['data: [DONE]', ''])
  return frames.map(frame => JSON.parse(frame.replace(/^data: /, '')))
}

describe('chat stream', () => {
  test('role, deltas, finish alone, and what all chunks share', () => {
    const shared = {
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 7,
      model: 'org/model',
      system_fingerprint: 'fp_1',
      service_tier: 'default',
    }
    const choice = (delta: object, finish_reason: string | null = null) => ({
      ...shared,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    })
    expect(chunks({}, [[text(0, 'Hé')], [text(0, ' "x"\n')], [finish(0), usage]])).toEqual([
      choice(opening),
      choice({ content: 'Hé' }),
      choice({ content: ' "x"\n' }),
      choice({}, 'stop'),
    ])
  })

  test('the exact bytes of a delta', () => {
    expect(encode({}, [[text(0, 'a')]]).split('\n\n')[1]).toBe(
      'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"org/model",' +
        '"system_fingerprint":"fp_1","service_tier":"default","choices":[{"index":0,' +
        '"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]}',
    )
  })

  test('include_usage: null everywhere, then a chunk without choices', () => {
    const all = chunks({ streamUsage: 'chunk' }, [[text(0, 'a'), finish(0)], [usage]])
    expect(all.slice(0, -1).map(chunk => chunk.usage)).toEqual([null, null, null])
    expect(all.at(-1)).toMatchObject({ choices: [], usage: strictUsage })
    expect(all.at(-1).usage).toEqual(strictUsage)
  })

  test('compatibility: usage on the last finish chunk only', () => {
    const all = chunks({ streamUsage: 'finish', numChoices: 2, strictOpenai: false }, [
      [text(0, 'a'), text(1, 'b')],
      [finish(1)],
      [text(0, 'c')],
      [finish(0, 'length')],
      [usage],
    ])
    const last = all.at(-1)
    expect(all.slice(0, -1).some(chunk => 'usage' in chunk)).toBe(false)
    expect(last.choices).toEqual([{ index: 0, delta: {}, logprobs: null, finish_reason: 'length' }])
    expect(last.usage).toEqual({
      ...strictUsage,
      avg_tok_per_sec: 16 / 0.22,
      avg_prompt_tok_per_sec: 500,
      avg_compl_tok_per_sec: 30,
      total_time_sec: 0.22,
      total_prompt_time_sec: 0.02,
      total_completion_time_sec: 0.2,
    })
  })

  test('each choice opens with its own first event', () => {
    const order = chunks({ numChoices: 2 }, [[text(1, 'b')], [finish(0), finish(1), usage]])
    expect(order.map(({ choices: [c] }) => [c.index, c.delta, c.finish_reason])).toEqual([
      [1, opening, null],
      [1, { content: 'b' }, null],
      [0, opening, null],
      [0, {}, 'stop'],
      [1, {}, 'stop'],
    ])
  })

  test('reasoning has its own field, twice when asked', () => {
    const deltas = (format: Partial<ChatFormat>) =>
      chunks(format, [
        [thought('hm'), text(0, 'a')],
        [finish(0), usage],
      ])
        .slice(1, 3)
        .map(({ choices: [c] }) => c.delta)
    expect(deltas({})).toEqual([{ reasoning_content: 'hm' }, { content: 'a' }])
    expect(deltas({ includeReasoning: true })).toEqual([
      { reasoning_content: 'hm', reasoning: 'hm' },
      { content: 'a' },
    ])
  })

  test('logprobs come with their delta, even when its text is still incomplete', () => {
    const [, first] = chunks({ logprobs: true }, [[text(0, '', [token])], [finish(0), usage]])
    const told = { token: '\ufffd', bytes: [0xc3], logprob: -0.5 }
    expect(first.choices[0]).toEqual({
      index: 0,
      delta: { content: '' },
      logprobs: { content: [{ ...told, top_logprobs: [told] }], refusal: null },
      finish_reason: null,
    })
  })

  test('one step is one piece, and a step of nothing is none', () => {
    const stream = new ChatStream(reply, { ...plain, numChoices: 2 }, 0)
    expect(stream.encode([text(0, 'a'), text(1, 'b')]).split('\n\n')).toHaveLength(5)
    expect(stream.encode([text(0, '')])).toBe('')
  })

  test('kinds of a newer engine are skipped', () => {
    const newer = { v: 1, seq: 0, kind: 'telepathy', index: 0 } as unknown as GenerateEvent
    expect(
      chunks({}, [
        [newer, text(0, 'a')],
        [finish(0), usage],
      ]),
    ).toHaveLength(3)
  })

  test('an error ends the stream: error, then [DONE]', () => {
    const stream = new ChatStream(reply, plain, 0)
    stream.encode([text(0, 'a')])
    const error: GenerateEvent = {
      v: 1,
      seq: 1,
      kind: 'error',
      error: { kind: 'internal', message: 'device lost' },
    }
    expect(stream.encode([error, text(0, 'never')])).toBe(
      'data: {"error":{"message":"device lost","type":"server_error","param":null,"code":null}}\n\ndata: [DONE]\n\n',
    )
    expect(stream.end).toBe('error')
  })
})

describe('calls', () => {
  const call = (
    number: number,
    text: string,
    start?: { id: string; name: string },
    logprobs?: TokenLogprob[],
  ): GenerateEvent => ({
    v: 1,
    seq: 0,
    kind: 'tool_call_delta',
    index: 0,
    call: number,
    ...start,
    arguments: text,
    ...(logprobs && { logprobs }),
  })
  const twoCalls = [
    [text(0, 'Let me see.')],
    [call(0, '{"a":', { id: 'A'.repeat(24), name: 'look' })],
    [call(0, '1}'), call(1, '', { id: 'B'.repeat(24), name: 'shell' })],
    [call(1, 'ls -l')],
    [finish(0, 'tool_calls'), usage],
  ]
  const ids = ['A', 'B'].map(letter => `call_${letter.repeat(24)}`)
  const deprecated = { calls: { customTools: new Set<string>(), functionCall: true } }
  const deltas = (format: Partial<ChatFormat>, steps: GenerateEvent[][]) =>
    chunks(format, steps).map(({ choices: [{ delta }] }) => delta)
  const answer = (format: Partial<ChatFormat>, steps: GenerateEvent[][]) => {
    const collector = createCollector(1)
    for (const step of steps) collector.add(step)
    return chatResponse(reply, { ...plain, ...format }, collector.result()).choices[0]
  }

  test('id, type and name once, then pieces of the arguments', () => {
    expect(deltas({}, twoCalls)).toEqual([
      opening,
      { content: 'Let me see.' },
      {
        tool_calls: [
          { index: 0, id: ids[0], type: 'function', function: { name: 'look', arguments: '' } },
        ],
      },
      { tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '1}' } }] },
      {
        tool_calls: [
          { index: 1, id: ids[1], type: 'custom', custom: { name: 'shell', input: '' } },
        ],
      },
      { tool_calls: [{ index: 1, custom: { input: 'ls -l' } }] },
      {},
    ])
    expect(chunks({}, twoCalls).at(-1).choices[0].finish_reason).toBe('tool_calls')
  })

  test('the exact bytes of a call', () => {
    const frame = (delta: string) =>
      'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"org/model",' +
      '"system_fingerprint":"fp_1","service_tier":"default","choices":[{"index":0,' +
      `"delta":${delta},"logprobs":null,"finish_reason":null}]}`
    expect(encode({}, twoCalls).split('\n\n').slice(2, 4)).toEqual([
      frame(
        `{"tool_calls":[{"index":0,"id":"${ids[0]}","type":"function","function":{"name":"look","arguments":""}}]}`,
      ),
      frame('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}'),
    ])
  })

  test('the same in one piece', () => {
    expect(answer({}, twoCalls)).toMatchObject({
      message: {
        content: 'Let me see.',
        tool_calls: [
          { id: ids[0], type: 'function', function: { name: 'look', arguments: '{"a":1}' } },
          { id: ids[1], type: 'custom', custom: { name: 'shell', input: 'ls -l' } },
        ],
      },
      finish_reason: 'tool_calls',
    })
    expect(answer({}, twoCalls.slice(1))?.message.content).toBeNull()
  })

  test('deprecated: one function_call', () => {
    expect(deltas(deprecated, twoCalls.slice(1))).toEqual([
      opening,
      { function_call: { name: 'look', arguments: '' } },
      { function_call: { arguments: '{"a":' } },
      { function_call: { arguments: '1}' } },
      {},
    ])
    expect(chunks(deprecated, twoCalls).at(-1).choices[0].finish_reason).toBe('function_call')
    const whole = answer(deprecated, twoCalls.slice(1))
    expect(whole?.message).toEqual({
      role: 'assistant',
      content: null,
      refusal: null,
      function_call: { name: 'look', arguments: '{"a":1}' },
    })
    expect(whole?.finish_reason).toBe('function_call')
  })

  test('each choice counts its own calls', () => {
    const of = (index: number, text: string, id?: string): GenerateEvent => ({
      v: 1,
      seq: 0,
      kind: 'tool_call_delta',
      index,
      call: 0,
      ...(id !== undefined && { id, name: index === 0 ? 'look' : 'shell' }),
      arguments: text,
    })
    const all = chunks({ numChoices: 2 }, [
      [of(1, '', 'b'), of(0, '', 'a')],
      [of(0, '{}'), of(1, 'ls')],
      [finish(0, 'tool_calls'), finish(1, 'tool_calls'), usage],
    ])
    const calls = all.flatMap(({ choices: [{ index, delta }] }) =>
      delta.tool_calls ? [[index, delta.tool_calls[0]]] : [],
    )
    expect(calls).toEqual([
      [1, { index: 0, id: 'call_b', type: 'custom', custom: { name: 'shell', input: '' } }],
      [0, { index: 0, id: 'call_a', type: 'function', function: { name: 'look', arguments: '' } }],
      [0, { index: 0, function: { arguments: '{}' } }],
      [1, { index: 0, custom: { input: 'ls' } }],
    ])
  })

  test('tokens of a call are told with its last piece, or on their own', () => {
    const start = { id: 'A'.repeat(24), name: 'look' }
    const steps = [
      [call(0, '{', start, [token, token]), call(0, '', undefined, [token])],
      [finish(0, 'tool_calls'), usage],
    ]
    const numTokens = chunks({ logprobs: true }, steps).map(
      ({ choices: [{ logprobs }] }) => logprobs?.content.length ?? 0,
    )
    expect(numTokens).toEqual([0, 0, 2, 1, 0])
    expect(answer({ logprobs: true }, steps)?.logprobs?.content).toHaveLength(3)
  })
})

describe('progress', () => {
  const progress = (done: number): GenerateEvent => ({
    v: 1,
    seq: 0,
    kind: 'progress',
    queuePosition: 2,
    promptTokensDone: done,
    promptTokens: 10,
  })

  test('comes after the role, beside an empty delta', () => {
    const all = chunks({ streamUsage: 'chunk' }, [
      [progress(4)],
      [progress(9), text(0, 'a')],
      [finish(0), usage],
    ])
    const told = all.map(({ choices: [choice], prompt_progress }) => [
      choice?.delta,
      prompt_progress,
    ])
    const at = (processed: number) => ({ total: 10, cache: 4, processed, queue_position: 2 })
    expect(told).toEqual([
      [opening, undefined],
      [{}, at(4)],
      [{}, at(9)],
      [{ content: 'a' }, undefined],
      [{}, undefined],
      [undefined, undefined],
    ])
    expect(all[1].usage).toBeNull()
  })
})

describe('chat response', () => {
  test('white space at the beginning stays, streamed or not', () => {
    const steps = [[text(0, ' ')], [text(0, '\n a ')], [finish(0), usage]]
    const collector = createCollector(1)
    for (const step of steps) collector.add(step)
    const streamed = chunks({}, steps).map(({ choices: [{ delta }] }) => delta.content ?? '')
    expect(streamed.join('')).toBe(' \n a ')
    expect(chatResponse(reply, plain, collector.result()).choices[0]?.message.content).toBe(
      ' \n a ',
    )
  })

  test('the same events without streaming', () => {
    const collector = createCollector(2)
    collector.add([thought('hm'), text(0, 'a', [token]), text(1, 'b')])
    collector.add([text(0, 'c'), finish(0, 'length'), finish(1), usage])
    const format = { ...plain, numChoices: 2, logprobs: true, includeReasoning: true }
    const told = { token: '\ufffd', bytes: [0xc3], logprob: -0.5 }
    expect(chatResponse(reply, format, collector.result())).toEqual({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 7,
      model: 'org/model',
      system_fingerprint: 'fp_1',
      service_tier: 'default',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'ac',
            refusal: null,
            reasoning_content: 'hm',
            reasoning: 'hm',
          },
          logprobs: { content: [{ ...told, top_logprobs: [told] }], refusal: null },
          finish_reason: 'length',
        },
        {
          index: 1,
          message: { role: 'assistant', content: 'b', refusal: null },
          logprobs: { content: [], refusal: null },
          finish_reason: 'stop',
        },
      ],
      usage: strictUsage,
    })
  })

  test('a run that stops short of its end is an error', () => {
    const collector = createCollector(1)
    collector.add([text(0, 'a'), usage])
    expect(() => collector.result()).toThrow('ended the job early')
  })
})
