import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { JsonObject, ModelInfo } from '../engine.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { chatFields, chatRequest } from './chatRequest.ts'

const models: ModelInfo[] = [
  { ...scriptedModel, id: 'org/model', aliases: ['nick'], vocabSize: 1000 },
  { ...scriptedModel, id: 'org/harmony', aliases: [] },
]
const parse = (body: JsonObject) => chatRequest(body, models, { strictOpenai: false })
const job = (fields: JsonObject) => parse({ messages: 'hi', ...fields }).job

describe('fields that reach the job', () => {
  const cases: [JsonObject, JsonObject][] = [
    [{}, { model: 'org/model', n: 1, sampling: {}, stop: [] }],
    [{ model: 'nick' }, { model: 'org/model' }],
    [{ model: '' }, { model: 'org/model' }],
    [{ model: 'org/harmony' }, { model: 'org/harmony' }],
    [{ max_tokens: 5 }, { maxTokens: 5 }],
    [{ max_tokens: 5, max_completion_tokens: 7 }, { maxTokens: 7 }],
    [{ n: 128 }, { n: 128 }],
    [{ temperature: 0 }, { sampling: { temperature: 0 } }],
    [{ top_p: 0 }, { sampling: { topP: 1e-9 } }],
    [{ top_k: -1, min_p: 0.1 }, { sampling: { topK: -1, minP: 0.1 } }],
    [
      { frequency_penalty: -2, presence_penalty: 2, repetition_penalty: 1.1 },
      { sampling: { frequencyPenalty: -2, presencePenalty: 2, repetitionPenalty: 1.1 } },
    ],
    [
      { logit_bias: { '5': -100, '999': 1.5 } },
      {
        sampling: {
          logitBias: [
            [5, -100],
            [999, 1.5],
          ],
        },
      },
    ],
    [{ seed: -(2 ** 63) }, { sampling: { seed: -(2 ** 63) } }],
    [{ stop: 'end' }, { stop: ['end'] }],
    [{ stop: ['a', 'b'] }, { stop: ['a', 'b'] }],
    [{ logprobs: true }, { logprobs: { top: 0 } }],
    [{ logprobs: true, top_logprobs: 20 }, { logprobs: { top: 20 } }],
    [{ ignore_eos: true }, { ignoreEos: true }],
    [{ truncate_sequence: true }, { truncatePrompt: true }],
    [{ max_reasoning_tokens: 0 }, { maxReasoningTokens: 0 }],
    [{ stream: true, return_progress: true }, { progress: true }],
    [{ dry_multiplier: 0.8 }, { sampling: { dry: { multiplier: 0.8 } } }],
    [
      {
        dry_multiplier: 1,
        dry_base: 2,
        dry_allowed_length: 3,
        dry_sequence_breakers: ['\n'],
      },
      { sampling: { dry: { multiplier: 1, base: 2, allowedLength: 3, sequenceBreakers: ['\n'] } } },
    ],
  ]
  test.each(cases)('%j', (fields, expected) => {
    expect(job(fields)).toMatchObject(expected)
  })

  test('null is the same as absent for every optional field', () => {
    const names = [
      'model',
      'n',
      'temperature',
      'top_p',
      'top_k',
      'min_p',
      'frequency_penalty',
      'presence_penalty',
      'repetition_penalty',
      'logit_bias',
      'seed',
      'stop',
      'stream',
      'stream_options',
      'ignore_eos',
      'tools',
      'max_tokens',
      'max_completion_tokens',
      'logprobs',
      'top_logprobs',
      'enable_thinking',
      'reasoning_effort',
      'verbosity',
      'chat_template_kwargs',
      'include_reasoning',
      'response_format',
      'grammar',
      'tool_choice',
      'parallel_tool_calls',
      'functions',
      'function_call',
      'modalities',
      'audio',
      'web_search_options',
      'session_id',
      'files',
      'enable_shell',
      'adapter',
      'truncate_sequence',
      'dry_multiplier',
      'max_reasoning_tokens',
      'return_progress',
      'dry_base',
      'dry_allowed_length',
      'dry_sequence_breakers',
      'guided_json',
      'guided_regex',
      'guided_choice',
      'guided_grammar',
      'structured_outputs',
    ]
    const nulls = Object.fromEntries(names.map(name => [name, null]))
    expect(parse({ ...nulls, messages: 'hi' })).toEqual(parse({ messages: 'hi' }))
    expect(parse({ messages: 'hi', stream_options: { include_usage: null } })).toEqual(
      parse({ messages: 'hi' }),
    )
  })

  test('fields that this server has no use for are ignored', () => {
    const ignored = {
      user: 'u',
      metadata: { a: 'b' },
      store: true,
      service_tier: 'auto',
      safety_identifier: 'x',
      prompt_cache_key: 'k',
      prediction: { type: 'content', content: '' },
      prompt_cache_options: {},
      prompt_cache_retention: '24h',
      moderation: {},
      code_execution_permission: 'ask',
      whatever: [1],
      response_format: { type: 'text' },
      tool_choice: 'auto',
      modalities: ['text'],
      parallel_tool_calls: false,
      stream_options: { include_obfuscation: false },
      return_progress: true,
      agent_permission: 'deny',
      max_tool_rounds: 3,
      dry_base: 2,
      dry_multiplier: 0,
      truncate_sequence: false,
      enable_shell: false,
      functions: [],
    }
    expect(parse({ ...ignored, messages: 'hi' })).toEqual(parse({ messages: 'hi' }))
  })
})

describe('thinking', () => {
  const cases: [JsonObject, JsonObject][] = [
    [{}, {}],
    [{ enable_thinking: false }, { reasoning: { enabled: false } }],
    [{ reasoning_effort: ' None ' }, { reasoning: { enabled: false } }],
    [{ reasoning_effort: 'minimal' }, { reasoning: { enabled: true, effort: 'low' } }],
    [{ reasoning_effort: 'XHIGH' }, { reasoning: { enabled: true, effort: 'xhigh' } }],
    [{ reasoning_effort: 'max' }, { reasoning: { enabled: true, effort: 'xhigh' } }],
    [{ verbosity: 'low' }, { templateOptions: { verbosity: 'low' } }],
    [
      { chat_template_kwargs: { custom: [1], enable_thinking: true }, enable_thinking: true },
      {
        reasoning: { enabled: true },
        templateOptions: { custom: [1], enable_thinking: true },
      },
    ],
  ]
  test.each(cases)('%j', (fields, expected) => {
    const messages = [{ role: 'user', content: 'hi' }]
    expect(job(fields).prompt).toEqual({ kind: 'chat', messages, ...expected })
  })
})

describe('tools', () => {
  const parameters = { type: 'object', properties: { city: { type: 'string', default: null } } }
  const nested = { type: 'function', function: { name: 'weather', parameters } }
  const clock = { type: 'custom', custom: { name: 'clock', description: 'd' } }
  const tools = [nested, clock]
  const toolsOf = (list: JsonObject[]) => {
    const { prompt } = job({ tools: list })
    return prompt.kind === 'chat' ? prompt.tools : undefined
  }

  test('reach the template in nested form', () => {
    const flat = { type: 'function', name: 'weather', parameters, strict: null }
    expect(toolsOf([flat])).toEqual([nested])
    expect(toolsOf([nested])).toEqual([nested])
    const strict = { ...nested.function, strict: true, return: { type: 'string' } }
    expect(toolsOf([{ type: 'function', function: strict }])).toEqual([
      { type: 'function', function: strict },
    ])
  })

  test.each([
    [undefined, {}],
    [{ type: 'text' }, {}],
    [
      { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "a"' } },
      { format: { type: 'lark', grammar: 'start: "a"' } },
    ],
    [
      { type: 'grammar', grammar: { syntax: 'regex', definition: 'a+' } },
      { format: { type: 'regex', pattern: 'a+' } },
    ],
  ])('custom tools of format %j', (format, expected) => {
    const fields = { name: 'clock', description: 'd', ...(format && { format }) } as JsonObject
    const tool = { type: 'custom', name: 'clock', description: 'd', ...expected }
    expect(toolsOf([{ type: 'custom', custom: fields }])).toEqual([tool])
    expect(toolsOf([{ type: 'custom', ...fields }])).toEqual([tool])
  })

  const choices: [JsonObject[string], object | undefined][] = [
    ['auto', undefined],
    ['none', { mode: 'none' }],
    ['required', { mode: 'required' }],
    [
      { type: 'function', function: { name: 'weather' } },
      { mode: 'required', names: ['weather'] },
    ],
    [
      { type: 'function', name: 'weather' },
      { mode: 'required', names: ['weather'] },
    ],
    [
      { type: 'custom', custom: { name: 'clock' } },
      { mode: 'required', names: ['clock'] },
    ],
    [
      {
        type: 'allowed_tools',
        allowed_tools: {
          mode: 'auto',
          tools: [
            { type: 'function', function: { name: 'weather' } },
            { type: 'custom', name: 'clock' },
          ],
        },
      },
      { mode: 'auto', names: ['weather', 'clock'] },
    ],
    [
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'custom', name: 'clock' }] },
      { mode: 'required', names: ['clock'] },
    ],
  ]
  test.each(choices)('choice %j', (tool_choice, expected) => {
    const { prompt } = job({ tools, tool_choice })
    expect(prompt.kind === 'chat' && prompt.toolChoice).toEqual(expected)
  })

  test('parallel_tool_calls: false ends with the first call', () => {
    expect(job({ tools, parallel_tool_calls: false }).prompt).toMatchObject({
      parallelToolCalls: false,
    })
    expect(job({ tools, parallel_tool_calls: true }).prompt).not.toHaveProperty('parallelToolCalls')
  })

  test('deprecated functions are tools of which one may be called', () => {
    const { job, format } = parse({
      messages: 'hi',
      functions: [nested.function],
      function_call: { name: 'weather' },
    })
    expect(job.prompt).toMatchObject({
      tools: [nested],
      toolChoice: { mode: 'required', names: ['weather'] },
      parallelToolCalls: false,
    })
    expect(format.calls).toEqual({ customTools: new Set(), functionCall: true })
  })

  test('where only calls may come, a format of the text has nothing to hold', () => {
    const fields = { tools, tool_choice: 'required', response_format: { type: 'json_object' } }
    expect(job(fields)).not.toHaveProperty('grammar')
  })
})

describe('languages', () => {
  const schema = { type: 'object', properties: { a: { default: null } } }
  const cases: [JsonObject, object][] = [
    [{ response_format: { type: 'json_object' } }, { type: 'json_object' }],
    [{ response_format: { type: 'json_object', schema } }, { type: 'json_schema', schema }],
    [
      {
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: false } },
      },
      { type: 'json_schema', schema },
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
      { type: 'json_object' },
    ],
    [{ grammar: { type: 'regex', value: 'a' } }, { type: 'regex', pattern: 'a' }],
    [{ grammar: { type: 'json_schema', value: schema } }, { type: 'json_schema', schema }],
    [{ grammar: { type: 'lark', value: 'start: "a"' } }, { type: 'lark', grammar: 'start: "a"' }],
    [
      { grammar: { type: 'gbnf', value: 'root ::= "a"' } },
      { type: 'gbnf', grammar: 'root ::= "a"' },
    ],
    [{ grammar: { type: 'choice', value: ['a', 'b'] } }, { type: 'choice', choices: ['a', 'b'] }],
    [
      { grammar: { type: 'llguidance', value: { grammars: [{ json_schema: schema }] } } },
      { type: 'json_schema', schema },
    ],
    [
      { grammar: { type: 'llguidance', value: { grammars: [{ lark_grammar: 'start: "a"' }] } } },
      { type: 'lark', grammar: 'start: "a"' },
    ],
    [{ guided_json: schema }, { type: 'json_schema', schema }],
    [{ guided_json: JSON.stringify(schema) }, { type: 'json_schema', schema }],
    [{ guided_regex: 'a' }, { type: 'regex', pattern: 'a' }],
    [{ guided_choice: ['a'] }, { type: 'choice', choices: ['a'] }],
    [{ guided_grammar: 'root ::= "a"' }, { type: 'gbnf', grammar: 'root ::= "a"' }],
    [{ guided_grammar: 'start: "a"' }, { type: 'lark', grammar: 'start: "a"' }],
    [{ structured_outputs: { json: schema } }, { type: 'json_schema', schema }],
    [{ structured_outputs: { json_object: true } }, { type: 'json_object' }],
    [{ structured_outputs: { regex: 'a', json: null } }, { type: 'regex', pattern: 'a' }],
    [{ structured_outputs: { choice: ['a'] } }, { type: 'choice', choices: ['a'] }],
    [
      { structured_outputs: { grammar: 'root ::= "a"' } },
      { type: 'gbnf', grammar: 'root ::= "a"' },
    ],
  ]
  test.each(cases)('%j', (fields, grammar) => {
    expect(job(fields)).toMatchObject({ grammar })
    expect(job({ ...fields, response_format: fields.response_format ?? { type: 'text' } })).toEqual(
      job(fields),
    )
  })
})

describe('usage in streams', () => {
  test.each([
    [undefined, false, 'finish'],
    [undefined, true, 'none'],
    [true, false, 'chunk'],
    [true, true, 'chunk'],
    [false, false, 'none'],
  ])('include_usage %s, strict %s', (include_usage, strictOpenai, expected) => {
    const stream_options = include_usage === undefined ? {} : { include_usage }
    const { format } = chatRequest({ messages: 'hi', stream_options }, models, { strictOpenai })
    expect(format.streamUsage).toBe(expected)
  })
})

test('the schema that checks a body describes it', () => {
  const { properties, required } = z.toJSONSchema(chatFields, { io: 'input' })
  expect(required).toEqual(['messages'])
  expect(Object.keys(properties ?? {})).toEqual(
    expect.arrayContaining(['tool_choice', 'response_format', 'web_search_options', 'metadata']),
  )
})
