import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ChatMessage, FunctionTool, ToolDefinition } from '../../../edge/engine.ts'
import { sharedDir } from '../../../test/conformance/goldenFolders.ts'
import { summarize } from '../../../test/support/parseOutput.ts'
import { detectFormat } from '../../parse/detectFormat.ts'
import { OutputParser } from '../../parse/outputParser.ts'
import { ChatTemplate } from './chatTemplate.ts'
import { fitToolHistory, toolHistoryTraits } from './toolHistory.ts'

const ids = ['call_0123456789abcdef01234567', 'call_fedcba9876543210fedcba98']
const plain = toolHistoryTraits([''])

const assistant: ChatMessage = {
  role: 'assistant',
  content: 'Moment.',
  reasoning: 'I look.',
  toolCalls: [
    { id: ids[0] ?? '', name: 'get_weather', arguments: '{"city": "A"}' },
    { id: ids[1] ?? '', name: 'now', arguments: '' },
  ],
}
const results: ChatMessage[] = [
  { role: 'tool', content: '12:30', toolCallId: ids[1] ?? '' },
  { role: 'tool', content: 'sun', toolCallId: ids[0] ?? '' },
]

function fitted(messages: ChatMessage[], traits = {}, tools: ToolDefinition[] = []) {
  return fitToolHistory(messages, tools, { ...plain, ...traits })
}

describe('the history of calls', () => {
  test('results get the names of their tools', () => {
    expect(fitted([assistant, ...results]).map(({ name }) => name)).toEqual([
      undefined,
      'now',
      'get_weather',
    ])
  })

  test('ids become nine letters and digits, the same for call and result, and stay if they are', () => {
    const history = fitted([assistant, ...results], { shortCallIds: true })
    const callIds = history[0]?.toolCalls?.map(({ id }) => id) ?? []
    for (const id of callIds) expect(id).toMatch(/^[a-z0-9]{9}$/)
    expect(new Set(callIds).size).toBe(2)
    expect(history.slice(1).map(({ toolCallId }) => toolCallId)).toEqual(callIds.toReversed())
    const own = { role: 'tool', content: 'x', toolCallId: 'Ab3456789' }
    expect(fitted([own], { shortCallIds: true })).toEqual([own])
    expect(fitted([assistant])[0]?.toolCalls?.[0]?.id).toBe(ids[0])
  })

  test('parallel calls come one after the other where a template takes one a message', () => {
    const stray = { role: 'tool', content: 'stray', toolCallId: 'other' }
    const user = { role: 'user', content: 'thanks' }
    const history = fitted([assistant, ...results, stray, user], { singleCalls: true })
    expect(history.map(m => m.toolCalls?.map(({ name }) => name) ?? m.content)).toEqual([
      ['get_weather'],
      'sun',
      ['now'],
      '12:30',
      'stray',
      'thanks',
    ])
    expect(history[2]).not.toHaveProperty('reasoning')
  })

  test('an empty list of calls is none', () => {
    expect(fitted([{ role: 'assistant', content: 'x', toolCalls: [] }])[0]).not.toHaveProperty(
      'toolCalls',
    )
  })

  test('reasoning and text become one where a template refuses both', () => {
    expect(fitted([assistant], { joinedReasoning: true })[0]).toMatchObject({
      content: '',
      reasoning: 'I look.\n\nMoment.',
    })
  })

  test.each([
    ['', '{}', {}],
    ['{"a": 1', '{"arguments":"{\\"a\\": 1"}', {}],
    ['[1]', '{"arguments":"[1]"}', {}],
    ['{"a": 1', '{"a": 1', { textArguments: true }],
    ['{"a":  1}', '{"a":  1}', {}],
  ])('arguments %s are written %s', (text, expected, traits) => {
    const message = {
      role: 'assistant',
      content: null,
      toolCalls: [{ id: 'a', name: 'f', arguments: text }],
    }
    expect(fitted([message], traits)[0]?.toolCalls?.[0]?.arguments).toBe(expected)
  })

  test('the text of a custom tool is its one argument', () => {
    const toolCalls = [{ id: 'a', name: 'sh', arguments: 'ls "x"' }]
    const message = { role: 'assistant', content: null, toolCalls }
    const tool = { type: 'custom' as const, name: 'sh' }
    expect(fitted([message], {}, [tool])[0]?.toolCalls?.[0]?.arguments).toBe(
      '{"input":"ls \\"x\\""}',
    )
  })
})

describe('real templates take back what they made a model say', () => {
  const dir = join(sharedDir, 'conformance/templates')
  if (!existsSync(dir)) {
    test.skip(`skipped: ${dir} is not there`, () => {})
    return
  }
  const templates = readdirSync(dir)
    .filter(file => file.endsWith('.jinja'))
    .map(file => ({ file, source: readFileSync(join(dir, file), 'utf8') }))

  test.each(templates)('$file', ({ source }) => {
    const tool = (name: string): FunctionTool => ({
      type: 'function',
      function: {
        name,
        description: name,
        parameters: { type: 'object', properties: { city: { type: 'string', description: 'c' } } },
      },
    })
    const broken: ChatMessage = {
      role: 'assistant',
      content: '',
      toolCalls: [{ id: 'call_x', name: 'now', arguments: '{"city": oops}' }],
    }
    const template = new ChatTemplate(source, { bos_token: '<s>', eos_token: '</s>' })
    const tools = [tool('get_weather'), tool('now')]
    const asked = template.render({
      kind: 'chat',
      messages: [{ role: 'user', content: 'x' }],
      tools,
    })
    for (const { function: shown } of tools) expect(asked).toContain(shown.name)
    const rendered = template.render({
      kind: 'chat',
      messages: [
        { role: 'user', content: 'Weather?' },
        assistant,
        ...results,
        broken,
        { role: 'tool', content: 'bad arguments', toolCallId: 'call_x' },
      ],
      tools,
    })
    const format = detectFormat([source], {}, template.describedCalls?.name)
    const reasoning = format.calls?.name === 'harmony' ? format.reasoning : undefined
    const declared = new Map(tools.map(t => [t.function.name, {}]))
    const parser = new OutputParser({ ...format, reasoning }, declared, '')
    const calls = summarize([...parser.push(rendered), ...parser.flush()]).filter(line =>
      line.startsWith('call|'),
    )
    expect(calls.slice(0, 2)).toEqual(['call|get_weather|{"city": "A"}', 'call|now|{}'])
    expect(calls).toHaveLength(3)
    expect(calls[2]).toMatch(/^call\|now\|.*oops/)
    expect(rendered.indexOf('sun')).toBeGreaterThan(0)
  })
})
