import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ApiError } from '../errors.ts'
import { parseFields } from '../schema.ts'
import { messagesField, toChatMessages } from './chatMessages.ts'

const fields = z.object({ messages: messagesField })
const convert = (messages: unknown) => toChatMessages(parseFields(fields, { messages }).messages)
const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }

describe('messages', () => {
  test('a bare string is one user turn', () => {
    expect(convert('hi')).toEqual([{ role: 'user', content: 'hi' }])
  })

  test('text parts are joined with nothing between them, in every role', () => {
    const parts = [{ type: 'text', text: 'a' }, { text: 'b' }, { type: 'text', text: '' }]
    for (const role of ['system', 'user', 'assistant', 'tool']) {
      expect(convert([{ role, content: parts }])).toEqual([{ role, content: 'ab' }])
    }
  })

  test('roles stay what the client said: the template decides', () => {
    expect(convert([{ role: 'developer', content: 'x' }])[0]?.role).toBe('developer')
  })

  test('assistant turns keep calls and reasoning', () => {
    expect(
      convert([
        { role: 'assistant', content: null, tool_calls: [call], reasoning_content: 'hm' },
        { role: 'assistant', reasoning: 'ha', name: 'bot', tool_calls: [] },
        { role: 'assistant', content: null, refusal: 'no' },
      ]),
    ).toEqual([
      {
        role: 'assistant',
        content: '',
        reasoning: 'hm',
        toolCalls: [{ id: 'call_1', name: 'f', arguments: '{"a":1}' }],
      },
      { role: 'assistant', content: '', reasoning: 'ha', name: 'bot' },
      { role: 'assistant', content: 'no' },
    ])
  })

  test('calls may lack an id, use `parameters`, or keep arguments parsed', () => {
    const toolCalls = [
      { function: { name: 'f', parameters: '{}' } },
      { id: 'x', function: { name: 'g', arguments: { b: [2] } } },
      { id: 'y', function: { name: 'h' } },
    ]
    expect(convert([{ role: 'assistant', tool_calls: toolCalls }])[0]?.toolCalls).toEqual([
      { id: 'f', name: 'f', arguments: '{}' },
      { id: 'x', name: 'g', arguments: '{"b":[2]}' },
      { id: 'y', name: 'h', arguments: '{}' },
    ])
  })

  test('tool turns keep the id of their call', () => {
    const message = { role: 'tool', tool_call_id: 'call_1', name: 'f', content: null }
    expect(convert([message])).toEqual([
      { role: 'tool', toolCallId: 'call_1', name: 'f', content: '' },
    ])
  })

  test('calls of custom tools are their text', () => {
    const custom = { id: 'c', type: 'custom', custom: { name: 'shell', input: 'ls\n' } }
    expect(convert([{ role: 'assistant', tool_calls: [custom] }])[0]?.toolCalls).toEqual([
      { id: 'c', name: 'shell', arguments: 'ls\n' },
    ])
  })

  test('deprecated calls get ids, and their results find them', () => {
    const function_call = { name: 'f', arguments: '{}' }
    expect(
      convert([
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: null, function_call },
        { role: 'function', name: 'f', content: '5' },
        { role: 'function', name: 'g', content: null },
      ]).slice(1),
    ).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'function_call_1', name: 'f', arguments: '{}' }],
      },
      { role: 'tool', name: 'f', content: '5', toolCallId: 'function_call_1' },
      { role: 'tool', name: 'g', content: '' },
    ])
  })

  test('results of a hundred thousand deprecated calls find them one by one', () => {
    const messages = Array.from({ length: 100_000 }, (_, i) => [
      { role: 'assistant', function_call: { name: `f${i}`, arguments: '{}' } },
      { role: 'function', name: 'f0', content: '5' },
    ]).flat()
    const results = convert(messages)
    expect(new Set(results.map(({ toolCallId }) => toolCallId))).toEqual(
      new Set([undefined, 'function_call_0']),
    )
  })
})

describe('media', () => {
  const source = { kind: 'data', mimeType: 'image/png', base64: 'AAE=' }
  const cases: [object, object][] = [
    [
      { type: 'image_url', image_url: { url: 'https://a.b/c.png', detail: 'low' } },
      { type: 'image', source: { kind: 'url', url: 'https://a.b/c.png' }, detail: 'low' },
    ],
    [
      { type: 'image_url', image_url: 'data:image/png;base64,AAE=' },
      { type: 'image', source },
    ],
    [
      { type: 'image_url', image_url: 'DATA:image/PNG;base64,AA%45' },
      { type: 'image', source: { ...source, base64: 'AAE=' } },
    ],
    [
      { type: 'image', image: { url: 'data:image/png,%00%01' } },
      { type: 'image', source },
    ],
    [
      { type: 'image_url', image_url: 'data:image/svg+xml;charset=utf-8,é%ff' },
      { type: 'image', source: { ...source, mimeType: 'image/svg+xml', base64: 'w6n/' } },
    ],
    [
      { type: 'input_audio', input_audio: { data: 'A_8=', format: 'mp3' } },
      { type: 'audio', source: { kind: 'data', mimeType: 'audio/mpeg', base64: 'A/8=' } },
    ],
    [
      { type: 'audio_url', audio_url: { url: 'http://a/b' } },
      { type: 'audio', source: { kind: 'url', url: 'http://a/b' } },
    ],
    [
      { type: 'video_url', video_url: { url: 'http://a/b' } },
      { type: 'video', source: { kind: 'url', url: 'http://a/b' } },
    ],
    [
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAE=' } },
      {
        type: 'file',
        source: { ...source, mimeType: 'application/pdf' },
        filename: 'a.pdf',
      },
    ],
  ]
  test.each(cases)('%j', (part, expected) => {
    const text = { type: 'text', text: 'see' }
    expect(convert([{ role: 'user', content: [text, part, text] }])).toEqual([
      { role: 'user', content: [text, expected, text] },
    ])
  })

  test('files of text are text', () => {
    const file = { filename: 'a.txt', file_data: `data:text/plain;base64,${btoa('hello')}` }
    const content = [
      { type: 'file', file },
      { type: 'text', text: '?' },
    ]
    expect(convert([{ role: 'user', content }])[0]?.content).toBe('a.txt:\nhello\n?')
  })
})

describe('refusals', () => {
  const user = (content: unknown) => [{ role: 'user', content }]
  const image = (url: string) => ({ type: 'image_url', image_url: { url } })
  const cases: [unknown, string, string][] = [
    [['hi'], 'messages[0]', 'invalid_value'],
    [[{ content: 'x' }], 'messages[0].role', 'missing_required_parameter'],
    [[{ role: 'king', content: 'x' }], 'messages[0].role', 'invalid_value'],
    [[{ role: 'function', content: 'x' }], 'messages[0].name', 'missing_required_parameter'],
    [
      [{ role: 'system', content: [{ type: 'image_url', image_url: 'x' }] }],
      'messages[0].content[0].type',
      'invalid_value',
    ],
    [user(null), 'messages[0].content', 'missing_required_parameter'],
    [user(undefined), 'messages[0].content', 'missing_required_parameter'],
    [user([]), 'messages[0].content', 'invalid_value'],
    [user(5), 'messages[0].content', 'invalid_value'],
    [user(['x']), 'messages[0].content[0]', 'invalid_value'],
    [user([{ type: 'text' }]), 'messages[0].content[0].text', 'missing_required_parameter'],
    [user([{ type: 'poem' }]), 'messages[0].content[0].type', 'invalid_value'],
    [
      user([{ type: 'image_url' }]),
      'messages[0].content[0].image_url',
      'missing_required_parameter',
    ],
    [
      user([{ type: 'image_url', image_url: { url: 'x', detail: 'fine' } }]),
      'messages[0].content[0].image_url.detail',
      'invalid_value',
    ],
    [
      user([{ type: 'text', text: 'x' }, image('data:')]),
      'messages[0].content[1].image_url.url',
      'invalid_image',
    ],
    [user([image('data:;base64,*')]), 'messages[0].content[0].image_url.url', 'invalid_image'],
    [user([image('data:,%zz')]), 'messages[0].content[0].image_url.url', 'invalid_image'],
    [
      user([{ type: 'input_audio', input_audio: { data: '', format: 'wav' } }]),
      'messages[0].content[0].input_audio.data',
      'invalid_audio',
    ],
    [
      user([{ type: 'input_audio', input_audio: { data: 'AA==', format: 'flac' } }]),
      'messages[0].content[0].input_audio.format',
      'invalid_value',
    ],
    [
      user([{ type: 'file', file: { file_id: 'file-1' } }]),
      'messages[0].content[0].file.file_id',
      'unsupported_value',
    ],
    [
      user([{ type: 'file', file: {} }]),
      'messages[0].content[0].file.file_data',
      'missing_required_parameter',
    ],
    [[{ role: 'user', content: 'x', name: 1 }], 'messages[0].name', 'invalid_value'],
    [[{ role: 'assistant', audio: { id: 'a' } }], 'messages[0].audio', 'unsupported_value'],
    [
      [{ role: 'assistant', function_call: {} }],
      'messages[0].function_call.name',
      'missing_required_parameter',
    ],
    [
      [{ role: 'assistant', tool_calls: [{ type: 'custom' }] }],
      'messages[0].tool_calls[0].custom',
      'missing_required_parameter',
    ],
    [
      [{ role: 'assistant', tool_calls: [{ type: 'web' }] }],
      'messages[0].tool_calls[0].type',
      'invalid_value',
    ],
    [
      [{ role: 'assistant', tool_calls: [{ function: {} }] }],
      'messages[0].tool_calls[0].function.name',
      'missing_required_parameter',
    ],
    [
      [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: 3 } }] }],
      'messages[0].tool_calls[0].function.arguments',
      'invalid_value',
    ],
  ]
  test.each(cases)('%j names %s', (messages, param, code) => {
    try {
      convert(messages)
    } catch (error) {
      expect((error as ApiError).data).toMatchObject({ status: 400, param, code })
      return
    }
    throw new Error('was accepted')
  })
})
