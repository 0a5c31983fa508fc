import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../engine.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { responseRequest } from './responseRequest.ts'

const identity = { id: 'resp_x', created: 1, canStore: true }
const read = (body: JsonObject) =>
  responseRequest({ input: 'hi', ...body }, [scriptedModel], identity)

const schema = { type: 'object', properties: { a: { type: 'string' } } }
const parameters = { type: 'object', properties: {} }

describe('a request becomes a job', () => {
  test.each<[string, JsonObject, object]>([
    ['max_output_tokens', { max_output_tokens: 5 }, { maxTokens: 5 }],
    ['its alias in chat', { max_tokens: 5 }, { maxTokens: 5 }],
    ['truncation', { truncation: 'auto' }, { truncatePrompt: true }],
    [
      'a JSON object',
      { text: { format: { type: 'json_object' } } },
      { grammar: { type: 'json_object' } },
    ],
    [
      'a schema',
      { text: { format: { type: 'json_schema', name: 'a', schema, strict: true } } },
      { grammar: { type: 'json_schema', schema } },
    ],
    [
      'a grammar',
      { grammar: { type: 'regex', value: 'a+' } },
      { grammar: { type: 'regex', pattern: 'a+' } },
    ],
    [
      'logprobs by include',
      { include: ['message.output_text.logprobs'] },
      { logprobs: { top: 0 } },
    ],
    ['logprobs by number', { top_logprobs: 3 }, { logprobs: { top: 3 } }],
    [
      'sampling',
      { temperature: 0, top_p: 0.5, top_k: 3 },
      { sampling: { temperature: 0, topP: 0.5, topK: 3 } },
    ],
    ['stop and seed', { stop: 'x', seed: 7 }, { stop: ['x'], sampling: { seed: 7 } }],
    ['bias', { logit_bias: { 5: -100 } }, { sampling: { logitBias: [[5, -100]] } }],
    ['a budget', { max_reasoning_tokens: 9 }, { maxReasoningTokens: 9 }],
  ])('%s', (_, body, job) => {
    expect(read(body).job).toMatchObject(job)
  })

  test('nulls are absent', () => {
    const fields =
      'max_output_tokens temperature tools tool_choice text reasoning include metadata previous_response_id'
    const nulls = Object.fromEntries(fields.split(' ').map(field => [field, null]))
    const { job, prompt, head, ...rest } = read(nulls)
    const plain = read({})
    expect({ job, prompt, head, ...rest }).toEqual(plain)
  })
})

describe('tools and what may be called', () => {
  const f = { type: 'function', name: 'f', parameters }
  test.each<[string, JsonObject, object]>([
    [
      'flat functions are strict unless they say otherwise',
      { tools: [f, { ...f, name: 'g', strict: false }] },
      {
        tools: [
          { type: 'function', function: { name: 'f', parameters, strict: true } },
          { type: 'function', function: { name: 'g', parameters, strict: false } },
        ],
      },
    ],
    [
      'nested functions',
      { tools: [{ type: 'function', function: { name: 'f', parameters } }] },
      { tools: [{ type: 'function', function: { name: 'f', parameters } }] },
    ],
    [
      'custom tools',
      {
        tools: [
          {
            type: 'custom',
            name: 'c',
            format: { type: 'grammar', syntax: 'lark', definition: 'start: "a"' },
          },
        ],
      },
      { tools: [{ type: 'custom', name: 'c', format: { type: 'lark', grammar: 'start: "a"' } }] },
    ],
    [
      'a namespace is flattened',
      { tools: [{ type: 'namespace', name: 'ns', tools: [f, { type: 'custom', name: 'c' }] }] },
      { tools: [{ function: { name: 'ns.f' } }, { type: 'custom', name: 'ns.c' }] },
    ],
    [
      'tools the client runs',
      {
        tools: [
          { type: 'local_shell' },
          { type: 'shell', environment: { type: 'local' } },
          { type: 'apply_patch' },
        ],
      },
      { tools: ['local_shell', 'shell', 'apply_patch'].map(name => ({ function: { name } })) },
    ],
    ['required', { tools: [f], tool_choice: 'required' }, { toolChoice: { mode: 'required' } }],
    ['none', { tools: [f], tool_choice: 'none' }, { toolChoice: { mode: 'none' } }],
    [
      'one function',
      { tools: [f], tool_choice: { type: 'function', name: 'f' } },
      { toolChoice: { mode: 'required', names: ['f'] } },
    ],
    [
      'one of a namespace',
      {
        tools: [{ type: 'namespace', name: 'ns', tools: [f] }],
        tool_choice: { type: 'function', name: 'f', namespace: 'ns' },
      },
      { toolChoice: { mode: 'required', names: ['ns.f'] } },
    ],
    [
      'the shell',
      { tools: [{ type: 'shell' }], tool_choice: { type: 'shell' } },
      { toolChoice: { mode: 'required', names: ['shell'] } },
    ],
    [
      'allowed tools, of which some are not here',
      {
        tools: [f],
        tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [f, { type: 'web_search' }] },
      },
      { toolChoice: { mode: 'auto', names: ['f'] } },
    ],
    [
      'allowed tools, of which none is here',
      {
        tools: [f],
        tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'mcp' }] },
      },
      { toolChoice: { mode: 'none' } },
    ],
    [
      'one call at a time',
      { tools: [f], parallel_tool_calls: false },
      { parallelToolCalls: false },
    ],
    [
      'effort',
      { reasoning: { effort: 'minimal' } },
      { reasoning: { enabled: true, effort: 'low' } },
    ],
    ['no effort', { reasoning: { effort: 'none' } }, { reasoning: { enabled: false } }],
    ['verbosity', { text: { verbosity: 'low' } }, { templateOptions: { verbosity: 'low' } }],
  ])('%s', (_, body, prompt) => {
    expect(read(body).prompt).toMatchObject(prompt)
  })

  test('which functions are strict only by default', () => {
    const f = { type: 'function', parameters: { type: 'object' } }
    const tools = [
      { ...f, name: 'a' },
      { ...f, name: 'b', strict: true },
      { ...f, name: 'c', strict: false },
      { type: 'namespace', name: 'n', tools: [{ ...f, name: 'd', strict: null }] },
    ]
    expect(read({ tools }).strictByDefault).toEqual(['a', 'n.d'])
  })

  test('tools of OpenAI’s servers are left out, and named', () => {
    const tools = [
      { type: 'web_search' },
      { type: 'shell', environment: { type: 'container_auto' } },
      { type: 'code_interpreter', container: { type: 'auto' } },
    ]
    const { prompt, leftTools, head } = read({ tools })
    expect(prompt.tools).toBeUndefined()
    expect(leftTools).toEqual(['web_search', 'shell', 'code_interpreter'])
    expect(head.tools).toEqual(tools)
  })
})

test('where nothing is kept nothing is stored, and nothing runs in the background', () => {
  const off = { ...identity, canStore: false }
  const readOff = (body: JsonObject) => responseRequest(body, [scriptedModel], off)
  expect(readOff({ input: 'hi', store: true }).head.store).toBe(false)
  expect(() => readOff({ input: 'hi', background: true })).toThrow(/keeps no responses/)
})

describe('what is refused names its field', () => {
  const schemaFormat = { type: 'json_schema', name: 'a', schema }
  test.each<[string, JsonObject]>([
    ['tools[0].name', { tools: [{ type: 'function', parameters }] }],
    [
      'tools[0].tools[0].name',
      { tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'custom' }] }] },
    ],
    ['tools[0].type', { tools: [{}] }],
    [
      'tools',
      {
        tools: [
          { type: 'custom', name: 'a' },
          { type: 'custom', name: 'a' },
        ],
      },
    ],
    [
      'tool_choice',
      { tools: [{ type: 'custom', name: 'a' }], tool_choice: { type: 'custom', name: 'b' } },
    ],
    ['tool_choice.type', { tool_choice: { type: 'web_search_preview' } }],
    ['text.format', { text: { format: schemaFormat }, response_format: { type: 'json_object' } }],
    ['text.format.name', { text: { format: { type: 'json_schema', schema } } }],
    ['reasoning.effort', { reasoning: { effort: 'very' } }],
    ['truncation', { truncation: 'middle' }],
    ['adapter', { adapter: 'a' }],
    ['input[0].type', { input: [{ type: 'hologram' }] }],
    ['input[0].content[0].type', { input: [{ role: 'user', content: [{ type: 'video' }] }] }],
    ['input', { input: 7 }],
  ])('%s', (param, body) => {
    expect(() => read(body)).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ param }) }),
    )
  })
})
