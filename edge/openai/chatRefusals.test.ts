import { describe, expect, test } from 'vitest'
import type { JsonObject, ModelInfo } from '../engine.ts'
import { EngineError } from '../engine.ts'
import { ApiError } from '../errors.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { chatRequest } from './chatRequest.ts'

const models: ModelInfo[] = [
  { ...scriptedModel, id: 'org/model', aliases: ['nick'], vocabSize: 1000 },
  { ...scriptedModel, id: 'org/harmony', aliases: [] },
]
const parse = (body: JsonObject) => chatRequest(body, models, { strictOpenai: false })
const job = (fields: JsonObject) => parse({ messages: 'hi', ...fields }).job

describe('chat requests that are refused', () => {
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
    [{ stop: [1] }, 'stop[0]', 'invalid_value'],
    [{ stop: ['a', ''] }, 'stop[1]', 'invalid_value'],
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
    [{ response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
    [
      { response_format: { type: 'json_schema' } },
      'response_format.json_schema',
      'missing_required_parameter',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: {} } } },
      'response_format.json_schema.name',
      'missing_required_parameter',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: 'no' } } },
      'response_format.json_schema.schema',
      'invalid_value',
    ],
    [
      { response_format: { type: 'json_object' }, grammar: { type: 'regex', value: 'a' } },
      'grammar',
      'invalid_value',
    ],
    [{ guided_regex: 'a', guided_choice: ['a'] }, 'guided_choice', 'invalid_value'],
    [{ guided_choice: [] }, 'guided_choice', 'invalid_value'],
    [{ guided_json: '[' }, 'guided_json', 'invalid_value'],
    [{ structured_outputs: { json: '[' } }, 'structured_outputs.json', 'invalid_value'],
    [{ structured_outputs: { json: {}, regex: 'a' } }, 'structured_outputs.regex', 'invalid_value'],
    [{ structured_outputs: 'a' }, 'structured_outputs', 'invalid_value'],
    [
      { structured_outputs: { structural_tag: {} } },
      'structured_outputs.structural_tag',
      'unsupported_value',
    ],
    [{ grammar: { type: 'peg', value: 'a' } }, 'grammar.type', 'invalid_value'],
    [{ grammar: { type: 'regex' } }, 'grammar.value', 'missing_required_parameter'],
    [
      { grammar: { type: 'llguidance', value: { grammars: [{}, {}] } } },
      'grammar.value.grammars',
      'unsupported_value',
    ],
    [
      { grammar: { type: 'llguidance', value: { grammars: [{}] } } },
      'grammar.value.grammars[0]',
      'invalid_value',
    ],
    [{ tool_choice: 'required' }, 'tool_choice', 'invalid_value'],
    [{ tools: [weather], tool_choice: 'sometimes' }, 'tool_choice', 'invalid_value'],
    [
      { tools: [weather], tool_choice: { type: 'function', name: 'clock' } },
      'tool_choice',
      'invalid_value',
    ],
    [
      { tools: [weather], tool_choice: { type: 'web_search' } },
      'tool_choice.type',
      'invalid_value',
    ],
    [
      { tools: [weather], tool_choice: { type: 'function', function: {} } },
      'tool_choice.function.name',
      'missing_required_parameter',
    ],
    [
      { functions: [{ name: 'f' }], function_call: { name: 'g' } },
      'function_call',
      'invalid_value',
    ],
    [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls', 'invalid_value'],
    [{ tools: {} }, 'tools', 'invalid_value'],
    [{ tools: Array(129).fill(weather) }, 'tools', 'invalid_value'],
    [{ tools: [weather, weather] }, 'tools', 'invalid_value'],
    [{ tools: [{ type: 'web_search' }] }, 'tools[0].type', 'invalid_value'],
    [{ tools: [weather, { type: 'function' }] }, 'tools[1].function', 'missing_required_parameter'],
    [
      { tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools[0].function.name',
      'invalid_value',
    ],
    [
      { tools: [{ type: 'function', function: { name: 'a', strict: 'yes' } }] },
      'tools[0].function.strict',
      'invalid_value',
    ],
    [
      {
        tools: [
          {
            type: 'custom',
            custom: { name: 'a', format: { type: 'grammar', grammar: { syntax: 'peg' } } },
          },
        ],
      },
      'tools[0].custom.format.grammar.syntax',
      'invalid_value',
    ],
    [{ functions: [{}] }, 'functions[0].name', 'missing_required_parameter'],
    [{ max_reasoning_tokens: -1 }, 'max_reasoning_tokens', 'invalid_value'],
    [{ dry_multiplier: -1 }, 'dry_multiplier', 'invalid_value'],
    [{ dry_base: 0.5 }, 'dry_base', 'invalid_value'],
    [{ dry_sequence_breakers: 'x' }, 'dry_sequence_breakers', 'invalid_value'],
    [{ modalities: ['text', 'audio'] }, 'modalities', 'unsupported_value'],
    [{ audio: { voice: 'x', format: 'wav' } }, 'audio', 'unsupported_value'],
    [{ web_search_options: {} }, 'web_search_options', 'unsupported_value'],
    [{ files: [{ name: 'a' }] }, 'files', 'unsupported_value'],
    [{ enable_shell: true }, 'enable_shell', 'unsupported_value'],
    [{ adapter: 5 }, 'adapter', 'invalid_value'],
    [{ session_id: 'x' }, 'session_id', 'unsupported_value'],
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

  test('an adapter that does not exist is not found', () => {
    expect((thrown(() => job({ adapter: 'x' })) as ApiError).data).toMatchObject({
      status: 404,
      param: 'adapter',
      code: 'model_not_found',
    })
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
