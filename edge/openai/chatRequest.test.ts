import { describe, expect, test } from 'vitest'
import type { JsonObject, ModelInfo } from '../engine.ts'
import { EngineError } from '../engine.ts'
import { ApiError } from '../errors.ts'
import { scriptedModel } from '../scriptedEngine.ts'
import { chatRequest } from './chatRequest.ts'

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
      whatever: [1],
      response_format: { type: 'text' },
      tool_choice: 'auto',
      modalities: ['text'],
      parallel_tool_calls: false,
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

describe('template options', () => {
  const cases: [JsonObject, JsonObject | undefined][] = [
    [{}, undefined],
    [{ enable_thinking: false }, { enable_thinking: false }],
    [{ reasoning_effort: ' None ' }, { enable_thinking: false }],
    [{ reasoning_effort: 'minimal' }, { enable_thinking: true, reasoning_effort: 'low' }],
    [{ reasoning_effort: 'XHIGH' }, { enable_thinking: true, reasoning_effort: 'xhigh' }],
    [{ verbosity: 'low' }, { verbosity: 'low' }],
    [
      { chat_template_kwargs: { custom: [1], enable_thinking: true }, enable_thinking: true },
      { custom: [1], enable_thinking: true },
    ],
  ]
  test.each(cases)('%j', (fields, expected) => {
    const { prompt } = job(fields)
    expect(prompt.kind === 'chat' && prompt.templateOptions).toEqual(expected)
  })
})

describe('tools', () => {
  const parameters = { type: 'object', properties: { city: { type: 'string', default: null } } }

  test('reach the template in nested form', () => {
    const nested = { type: 'function', function: { name: 'weather', parameters } }
    const flat = { type: 'function', name: 'weather', parameters, strict: null }
    const { prompt } = job({ tools: [nested, flat], tool_choice: 'none' })
    expect(prompt).toMatchObject({ tools: [nested, nested] })
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

describe('refusals', () => {
  const weather = { type: 'function', function: { name: 'weather' } }
  const cases: [JsonObject, string, string][] = [
    [{ messages: null }, 'messages', 'missing_required_parameter'],
    [{ messages: [] }, 'messages', 'invalid_value'],
    [{ messages: 5 }, 'messages', 'invalid_value'],
    [{ max_tokens: 0 }, 'max_tokens', 'invalid_value'],
    [{ max_completion_tokens: 1.5 }, 'max_completion_tokens', 'invalid_value'],
    [{ temperature: 2.1 }, 'temperature', 'invalid_value'],
    [{ temperature: '1' }, 'temperature', 'invalid_value'],
    [{ top_p: -0.1 }, 'top_p', 'invalid_value'],
    [{ min_p: 2 }, 'min_p', 'invalid_value'],
    [{ repetition_penalty: 0 }, 'repetition_penalty', 'invalid_value'],
    [{ presence_penalty: 3 }, 'presence_penalty', 'invalid_value'],
    [{ n: 0 }, 'n', 'invalid_value'],
    [{ n: 129 }, 'n', 'invalid_value'],
    [{ seed: 1.5 }, 'seed', 'invalid_value'],
    [{ stop: '' }, 'stop', 'invalid_value'],
    [{ stop: Array(17).fill('x') }, 'stop', 'invalid_value'],
    [{ stop: [1] }, 'stop', 'invalid_value'],
    [{ logit_bias: { '1000': 1 } }, 'logit_bias', 'invalid_value'],
    [{ logit_bias: { hello: 1 } }, 'logit_bias', 'invalid_value'],
    [{ logit_bias: { '5': 101 } }, 'logit_bias.5', 'invalid_value'],
    [{ top_logprobs: 3 }, 'top_logprobs', 'invalid_value'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'invalid_value'],
    [{ logprobs: 5 }, 'logprobs', 'invalid_value'],
    [{ stream: 'yes' }, 'stream', 'invalid_value'],
    [{ stream_options: { include_usage: 1 } }, 'stream_options.include_usage', 'invalid_value'],
    [{ reasoning_effort: 'huge' }, 'reasoning_effort', 'invalid_value'],
    [{ reasoning_effort: 'none', enable_thinking: true }, 'enable_thinking', 'invalid_value'],
    [{ response_format: { type: 'json_object' } }, 'response_format.type', 'unsupported_value'],
    [{ response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
    [{ grammar: { type: 'regex', value: 'a' } }, 'grammar', 'unsupported_value'],
    [{ guided_json: {} }, 'guided_json', 'unsupported_value'],
    [{ tool_choice: 'required' }, 'tool_choice', 'unsupported_value'],
    [{ tool_choice: weather }, 'tool_choice', 'unsupported_value'],
    [{ tool_choice: 'sometimes' }, 'tool_choice', 'invalid_value'],
    [{ tools: [weather], parallel_tool_calls: false }, 'parallel_tool_calls', 'unsupported_value'],
    [{ tools: {} }, 'tools', 'invalid_value'],
    [{ tools: Array(129).fill(weather) }, 'tools', 'invalid_value'],
    [{ tools: [{ type: 'web_search' }] }, 'tools[0].type', 'unsupported_value'],
    [{ tools: [weather, { type: 'function' }] }, 'tools[1].name', 'missing_required_parameter'],
    [
      { tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools[0].function.name',
      'invalid_value',
    ],
    [
      { tools: [{ type: 'function', function: { name: 'a', strict: true } }] },
      'tools[0].function.strict',
      'unsupported_value',
    ],
    [{ functions: [{ name: 'a' }] }, 'functions', 'unsupported_value'],
    [{ modalities: ['text', 'audio'] }, 'modalities', 'unsupported_value'],
    [{ audio: { voice: 'x', format: 'wav' } }, 'audio', 'unsupported_value'],
    [{ web_search_options: {} }, 'web_search_options', 'unsupported_value'],
    [{ adapter: 'x' }, 'adapter', 'unsupported_value'],
    [{ session_id: 'x' }, 'session_id', 'unsupported_value'],
    [{ dry_multiplier: 0.8 }, 'dry_multiplier', 'unsupported_value'],
    [{ truncate_sequence: true }, 'truncate_sequence', 'unsupported_value'],
  ]
  test.each(cases)('%j names %s', (fields, param, code) => {
    const error = thrown(() => job(fields))
    expect(error).toBeInstanceOf(ApiError)
    expect((error as ApiError).data).toMatchObject({ status: 400, param, code })
  })

  test('the message has field, value and range', () => {
    expect(() => job({ temperature: 2.1 })).toThrow(
      "Invalid value for 'temperature': 2.1. Expected a number between 0 and 2.",
    )
  })

  test('an unknown model is told with the known ones', () => {
    const error = thrown(() => job({ model: 'gpt-9' }))
    expect(error).toBeInstanceOf(EngineError)
    expect((error as EngineError).message).toContain("'default', 'org/model', 'org/harmony'")
  })

  test('a value too deep to print is told without it', () => {
    let deep: JsonObject = {}
    for (let i = 0; i < 200_000; i++) deep = { a: deep }
    expect(() => job({ temperature: deep })).toThrow("Invalid value for 'temperature'")
  })
})

function thrown(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
