import { describe, expect, test } from 'vitest'
import type { ChatMessage, JsonObject } from '../engine.ts'
import { toInputItems } from './inputItems.ts'
import { toMessages } from './inputMessages.ts'
import { sealReasoning } from './reasoningSeal.ts'

const messagesOf = (input: JsonObject[]) =>
  toMessages(toInputItems(input, 'resp_x').map((item, i) => ({ item, path: `input[${i}]` })))

const call = (call_id: string, extra = {}) => ({
  type: 'function_call',
  call_id,
  name: 'f',
  arguments: '{}',
  ...extra,
})
const assistant = (text: string) => ({
  type: 'message',
  role: 'assistant',
  content: [{ type: 'output_text', text }],
})
const reasoning = (text: string) => ({
  type: 'reasoning',
  summary: [],
  content: [{ type: 'reasoning_text', text }],
})

describe('items become turns', () => {
  test.each<[string, JsonObject[], ChatMessage[]]>([
    ['a string', [{ role: 'user', content: 'a' }], [{ role: 'user', content: 'a' }]],
    [
      'text parts of a user, a blank line between',
      [
        {
          role: 'developer',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
      ],
      [{ role: 'developer', content: 'a\n\nb' }],
    ],
    [
      'what was generated in one go is one turn',
      [reasoning('hm'), assistant('well'), call('1'), call('2', { namespace: 'ns' })],
      [
        {
          role: 'assistant',
          content: 'well',
          reasoning: 'hm',
          toolCalls: [
            { id: '1', name: 'f', arguments: '{}' },
            { id: '2', name: 'ns.f', arguments: '{}' },
          ],
        },
      ],
    ],
    [
      'and the next begins a new one',
      [
        call('1'),
        { type: 'function_call_output', call_id: '1', output: 'x' },
        reasoning('so'),
        assistant('a'),
        assistant('b'),
      ],
      [
        { role: 'assistant', content: null, toolCalls: [{ id: '1', name: 'f', arguments: '{}' }] },
        { role: 'tool', toolCallId: '1', content: 'x' },
        { role: 'assistant', content: 'a', reasoning: 'so' },
        { role: 'assistant', content: 'b' },
      ],
    ],
    [
      'outputs as parts',
      [{ type: 'function_call_output', call_id: '1', output: [{ type: 'input_text', text: 'x' }] }],
      [{ role: 'tool', toolCallId: '1', content: 'x' }],
    ],
    [
      'reasoning that the client has only sealed',
      [
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 's' }],
          encrypted_content: sealReasoning('ü 😀'),
        },
        assistant('a'),
      ],
      [{ role: 'assistant', content: 'a', reasoning: 'ü 😀' }],
    ],
    [
      'reasoning sealed by somebody else: its summary',
      [
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 's' }],
          encrypted_content: 'gAAAA',
        },
        assistant('a'),
      ],
      [{ role: 'assistant', content: 'a', reasoning: 's' }],
    ],
    [
      'custom tools and those the client runs',
      [
        { type: 'custom_tool_call', call_id: '1', name: 'c', input: 'text' },
        { type: 'custom_tool_call_output', call_id: '1', output: 'x' },
        {
          type: 'local_shell_call',
          id: 'lsh_1',
          call_id: '2',
          status: 'completed',
          action: { type: 'exec', command: ['ls'] },
        },
        { type: 'local_shell_call_output', id: '2', output: 'y' },
        { type: 'shell_call', call_id: '3', action: { commands: ['ls'] } },
        {
          type: 'shell_call_output',
          call_id: '3',
          output: [{ stdout: 'z', stderr: '', outcome: { type: 'exit', exit_code: 0 } }],
        },
        {
          type: 'apply_patch_call',
          call_id: '4',
          status: 'completed',
          operation: { type: 'delete_file', path: 'a' },
        },
        { type: 'apply_patch_call_output', call_id: '4', status: 'completed' },
      ],
      [
        {
          role: 'assistant',
          content: null,
          toolCalls: [{ id: '1', name: 'c', arguments: 'text' }],
        },
        { role: 'tool', toolCallId: '1', content: 'x' },
        {
          role: 'assistant',
          content: null,
          toolCalls: [{ id: '2', name: 'local_shell', arguments: '{"command":["ls"]}' }],
        },
        { role: 'tool', toolCallId: '2', content: 'y' },
        {
          role: 'assistant',
          content: null,
          toolCalls: [{ id: '3', name: 'shell', arguments: '{"commands":["ls"]}' }],
        },
        {
          role: 'tool',
          toolCallId: '3',
          content: '[{"stdout":"z","stderr":"","outcome":{"type":"exit","exit_code":0}}]',
        },
        {
          role: 'assistant',
          content: null,
          toolCalls: [
            { id: '4', name: 'apply_patch', arguments: '{"type":"delete_file","path":"a"}' },
          ],
        },
        { role: 'tool', toolCallId: '4', content: 'completed' },
      ],
    ],
    [
      'what only OpenAI’s servers can have done is passed over',
      [
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { type: 'mcp_list_tools', id: 'mcpl_1' },
        { role: 'user', content: 'a' },
      ],
      [{ role: 'user', content: 'a' }],
    ],
    [
      'media, in their place',
      [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'see' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'original' },
            { type: 'input_file', file_url: 'https://a.example/b.pdf' },
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
          ],
        },
      ],
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'see' },
            {
              type: 'image',
              source: { kind: 'data', mimeType: 'image/png', base64: 'AAAA' },
              detail: 'high',
            },
            { type: 'file', source: { kind: 'url', url: 'https://a.example/b.pdf' } },
            { type: 'audio', source: { kind: 'data', mimeType: 'audio/wav', base64: 'AAAA' } },
          ],
        },
      ],
    ],
  ])('%s', (_, items, messages) => {
    expect(messagesOf(items)).toEqual(messages)
  })

  test('uploaded files are refused by name', () => {
    const content = [{ type: 'input_image', file_id: 'file-1' }]
    expect(() => messagesOf([{ role: 'user', content }])).toThrow(
      expect.objectContaining({
        data: expect.objectContaining({ param: 'input[0].content[0].file_id' }),
      }),
    )
  })
})
