import { describe, expect, test } from 'vitest'
import type { ApiError } from '../errors.ts'
import { toChatMessages } from './chatMessages.ts'

const convert = toChatMessages
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
})

describe('refusals', () => {
  const user = (content: unknown) => [{ role: 'user', content }]
  const cases: [unknown, string, string][] = [
    [['hi'], 'messages[0]', 'invalid_value'],
    [[{ content: 'x' }], 'messages[0].role', 'missing_required_parameter'],
    [[{ role: 'king', content: 'x' }], 'messages[0].role', 'invalid_value'],
    [[{ role: 'function', content: 'x' }], 'messages[0].role', 'unsupported_value'],
    [user(null), 'messages[0].content', 'missing_required_parameter'],
    [user(undefined), 'messages[0].content', 'missing_required_parameter'],
    [user([]), 'messages[0].content', 'invalid_value'],
    [user(5), 'messages[0].content', 'invalid_value'],
    [user(['x']), 'messages[0].content[0]', 'invalid_value'],
    [user([{ type: 'text' }]), 'messages[0].content[0].text', 'missing_required_parameter'],
    [user([{ type: 'poem' }]), 'messages[0].content[0].type', 'invalid_value'],
    [
      user([
        { type: 'text', text: 'x' },
        { type: 'image_url', image_url: { url: 'data:' } },
      ]),
      'messages[0].content[1]',
      'unsupported_media',
    ],
    [user([{ type: 'input_audio' }]), 'messages[0].content[0]', 'unsupported_media'],
    [user([{ type: 'file', file: {} }]), 'messages[0].content[0]', 'unsupported_media'],
    [[{ role: 'user', content: 'x', name: 1 }], 'messages[0].name', 'invalid_value'],
    [[{ role: 'assistant', audio: { id: 'a' } }], 'messages[0].audio', 'unsupported_value'],
    [[{ role: 'assistant', function_call: {} }], 'messages[0].function_call', 'unsupported_value'],
    [
      [{ role: 'assistant', tool_calls: [{ type: 'custom' }] }],
      'messages[0].tool_calls[0].type',
      'unsupported_value',
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
