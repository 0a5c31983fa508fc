import { describe, expect, test } from 'vitest'
import type { ApiError } from '../errors.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { messageRequest } from './messageRequest.ts'

type Body = Parameters<typeof messageRequest>[0]
const hi = [{ role: 'user', content: 'hi' }]
const parse = (fields: object) =>
  messageRequest({ max_tokens: 100, messages: hi, ...fields } as Body, [scriptedModel])
const turnsOf = (fields: object) => parse(fields).job.prompt.messages
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const weather = { name: 'get_weather', description: 'Weather.', input_schema: schema }

describe('turns', () => {
  test('system blocks and consecutive turns of one role are joined', () => {
    const text = (value: string) => ({
      type: 'text',
      text: value,
      cache_control: { type: 'ephemeral' },
    })
    expect(
      turnsOf({
        system: [text('Be'), text('brief.')],
        messages: [
          { role: 'user', content: 'a' },
          { role: 'user', content: [text('b'), text('c')] },
          { role: 'assistant', content: 'd' },
          { role: 'assistant', content: [text('e')] },
          { role: 'user', content: 'f' },
        ],
      }),
    ).toEqual([
      { role: 'system', content: 'Be\nbrief.' },
      { role: 'user', content: 'a\nb\nc' },
      { role: 'assistant', content: 'd\ne' },
      { role: 'user', content: 'f' },
    ])
  })

  test('tool calls and their results', () => {
    const messages = [
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Two cities.', signature: 'local' },
          { type: 'redacted_thinking', data: 'xyz' },
          { type: 'text', text: 'Looking.' },
          { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Rome' } },
          { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: { city: 'Oslo' } },
          { type: 'server_tool_use', id: 'srv', name: 'web_search', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' },
          {
            type: 'tool_result',
            tool_use_id: 'toolu_2',
            is_error: true,
            content: [{ type: 'text', text: 'no such city' }],
          },
          { type: 'web_search_tool_result', tool_use_id: 'srv', content: [] },
          { type: 'text', text: 'Go on.' },
        ],
      },
    ]
    expect(turnsOf({ messages, tools: [weather] })).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'Looking.',
        reasoning: 'Two cities.',
        toolCalls: [
          { id: 'toolu_1', name: 'get_weather', arguments: '{"city":"Rome"}' },
          { id: 'toolu_2', name: 'get_weather', arguments: '{"city":"Oslo"}' },
        ],
      },
      { role: 'tool', content: 'sunny', toolCallId: 'toolu_1' },
      { role: 'tool', content: 'Error:\nno such city', toolCallId: 'toolu_2' },
      { role: 'user', content: 'Go on.' },
    ])
  })

  test('documents, search results and images', () => {
    const content = [
      {
        type: 'document',
        title: 'A',
        source: { type: 'text', media_type: 'text/plain', data: 'x' },
      },
      { type: 'search_result', title: 'T', source: 's', content: [{ type: 'text', text: 'y' }] },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ]
    expect(turnsOf({ messages: [{ role: 'user', content }] })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: '# A\nx' },
          { type: 'text', text: 'T (s)\ny' },
          { type: 'image', source: { kind: 'data', mimeType: 'image/png', base64: 'aGk=' } },
          { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' } },
        ],
      },
    ])
  })

  test('an assistant turn at the end is continued', () => {
    const messages = [...hi, { role: 'assistant', content: 'Once' }]
    expect(parse({ messages }).job.prompt.addGenerationPrompt).toBe(false)
  })
})

describe('tools', () => {
  test('own tools, tools of Anthropic that the client runs, and those its servers run', () => {
    const { job, leftTools } = parse({
      tools: [
        { ...weather, type: 'custom', strict: true, cache_control: { type: 'ephemeral' } },
        { type: 'bash_20250124', name: 'bash' },
        { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' },
        { type: 'memory_20250818', name: 'memory' },
        { type: 'web_search_20250305', name: 'web_search', max_uses: 3 },
      ],
    })
    expect(
      job.prompt.tools?.map(tool => (tool.type === 'function' ? tool.function.name : '')),
    ).toEqual(['get_weather', 'bash', 'str_replace_based_edit_tool', 'memory'])
    expect(job.prompt.tools?.[0]).toEqual({
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'Weather.',
        parameters: schema,
        strict: true,
      },
    })
    expect(leftTools).toEqual(['web_search_20250305'])
  })

  test.each([
    [{ type: 'auto' }, {}],
    [{ type: 'any' }, { toolChoice: { mode: 'required' } }],
    [{ type: 'none' }, { toolChoice: { mode: 'none' } }],
    [
      { type: 'tool', name: 'get_weather', disable_parallel_tool_use: true },
      { toolChoice: { mode: 'required', names: ['get_weather'] }, parallelToolCalls: false },
    ],
  ])('choice %j', (tool_choice, expected) => {
    const { toolChoice, parallelToolCalls } = parse({ tools: [weather], tool_choice }).job.prompt
    expect({
      ...(toolChoice && { toolChoice }),
      ...(parallelToolCalls === false && { parallelToolCalls }),
    }).toEqual(expected)
  })
})

describe('thinking', () => {
  test.each<[object, object, number | undefined]>([
    [{}, { enabled: false }, undefined],
    [{ thinking: { type: 'enabled', budget_tokens: 2048 } }, { enabled: true }, 2048],
    [{ thinking: { type: 'adaptive' } }, { enabled: true }, undefined],
    [{ thinking: { type: 'disabled' } }, { enabled: false }, undefined],
    [{ enable_thinking: true }, { enabled: true }, undefined],
    [{ output_config: { effort: 'max' } }, { effort: 'xhigh' }, undefined],
    [
      { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } },
      { enabled: true, effort: 'low' },
      undefined,
    ],
  ])('%j', (fields, reasoning, budget) => {
    const { job } = parse(fields)
    expect(job.prompt.reasoning).toEqual(reasoning)
    expect(job.maxReasoningTokens).toBe(budget)
  })

  test('its text can be left out', () => {
    const thinking = { type: 'adaptive', display: 'omitted' }
    expect(parse({ thinking }).format.showThinking).toBe(false)
  })
})

test('the rest of a request', () => {
  const { job, stream } = parse({
    model: 'default',
    stop_sequences: ['END'],
    temperature: 0.5,
    top_k: 5,
    top_p: 0.9,
    min_p: 0.1,
    stream: true,
    metadata: { user_id: 'x' },
    context_management: { edits: [] },
    output_config: { format: { type: 'json_schema', schema } },
  })
  expect(stream).toBe(true)
  expect(job).toMatchObject({
    model: scriptedModel.id,
    n: 1,
    maxTokens: 100,
    stop: ['END'],
    sampling: { temperature: 0.5, topK: 5, topP: 0.9, minP: 0.1 },
    grammar: { type: 'json_schema', schema },
  })
})

describe('mistakes name their field', () => {
  test.each<[object, string]>([
    [{ messages: undefined }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: ['x'] }, 'messages[0]'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
    [{ messages: [{ role: 'user', content: [{ text: 'x' }] }] }, 'messages[0].content[0].type'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text'],
    [
      { messages: [{ role: 'user', content: [{ type: 'hologram' }] }] },
      'messages[0].content[0].type',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] },
      'messages[0].content[0].tool_use_id',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'base64' } }] }] },
      'messages[0].content[0].source.media_type',
    ],
    [{ system: 5 }, 'system'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ temperature: 1.5 }, 'temperature'],
    [{ stop_sequences: 'x' }, 'stop_sequences'],
    [{ stop_sequences: [''] }, 'stop_sequences[0]'],
    [{ tools: [{ name: 'a b', input_schema: {} }] }, 'tools[0].name'],
    [{ tools: [{ name: 'a' }] }, 'tools[0].input_schema'],
    [{ tool_choice: { type: 'any' } }, 'tool_choice'],
    [{ tools: [weather], tool_choice: { type: 'tool', name: 'other' } }, 'tool_choice.name'],
    [{ thinking: { type: 'maybe' } }, 'thinking.type'],
    [{ thinking: { type: 'enabled', budget_tokens: 0 } }, 'thinking.budget_tokens'],
    [{ thinking: { type: 'disabled' }, enable_thinking: true }, 'enable_thinking'],
    [{ output_config: { effort: 'huge' } }, 'output_config.effort'],
    [{ output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
    [
      {
        output_config: { format: { type: 'json_schema', schema } },
        grammar: { type: 'regex', value: 'a' },
      },
      'output_config.format',
    ],
    [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '?' } },
            ],
          },
        ],
      },
      'messages[0].content[0].source.data',
    ],
  ])('%j', (fields, param) => {
    let thrown: unknown
    try {
      parse(fields)
    } catch (error) {
      thrown = error
    }
    expect((thrown as ApiError).data).toMatchObject({ status: 400, param })
  })
})
