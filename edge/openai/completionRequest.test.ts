import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../engine.ts'
import type { ApiError } from '../errors.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { completionRequest } from './completionRequest.ts'

const model = { ...scriptedModel, vocabSize: 100 }
const parse = (body: JsonObject, strictOpenai = false) =>
  completionRequest(body, [model], { strictOpenai })

describe('jobs', () => {
  test.each([
    ['one', ['one']],
    [
      ['one', 'two'],
      ['one', 'two'],
    ],
    [[1, 2], [[1, 2]]],
    [
      [[1], [2, 99]],
      [[1], [2, 99]],
    ],
    [null, ['']],
  ])('prompt %j', (prompt, prompts) => {
    expect(parse({ prompt }).job.prompt).toEqual({ kind: 'text', prompts })
  })

  test('length is open unless strict', () => {
    expect(parse({ prompt: 'x' }).job.maxTokens).toBeUndefined()
    expect(parse({ prompt: 'x' }, true).job.maxTokens).toBe(16)
    expect(parse({ prompt: 'x', max_tokens: 0, echo: true }).job.maxTokens).toBe(0)
  })

  test('prompt logprobs only for echo with logprobs', () => {
    expect(parse({ prompt: 'x', echo: true }).job.promptLogprobs).toBeUndefined()
    expect(parse({ prompt: 'x', echo: true, logprobs: 0 }).job).toMatchObject({
      promptLogprobs: true,
      logprobs: { top: 0 },
    })
  })

  test('best_of generates more than it returns, and needs logprobs to choose', () => {
    const { job, format } = parse({ prompt: 'x', n: 2, best_of: 5 })
    expect(job).toMatchObject({ n: 5, logprobs: { top: 0 } })
    expect(format).toMatchObject({ n: 2, candidates: 5, logprobs: false })
  })

  test('chat-only and empty fields are ignored', () => {
    const body = { prompt: 'x', tools: [1], tool_choice: 'required', suffix: '', user: 'me' }
    expect(parse(body)).toEqual(parse({ prompt: 'x' }))
  })
})

describe('refusals', () => {
  const cases: [JsonObject, string, string][] = [
    [{}, 'prompt', 'missing_required_parameter'],
    [{ prompt: [] }, 'prompt', 'invalid_value'],
    [{ prompt: {} }, 'prompt', 'invalid_value'],
    [{ prompt: ['a', 5] }, 'prompt[1]', 'invalid_value'],
    [{ prompt: ['a', null] }, 'prompt[1]', 'invalid_value'],
    [{ prompt: [[]] }, 'prompt[0]', 'invalid_value'],
    [{ prompt: [1, 100] }, 'prompt[1]', 'invalid_value'],
    [{ prompt: [[1], [-1]] }, 'prompt[1][0]', 'invalid_value'],
    [{ prompt: 'x', max_tokens: 0 }, 'max_tokens', 'invalid_value'],
    [{ prompt: 'x', logprobs: 6 }, 'logprobs', 'invalid_value'],
    [{ prompt: 'x', logprobs: true }, 'logprobs', 'invalid_value'],
    [{ prompt: 'x', best_of: 21 }, 'best_of', 'invalid_value'],
    [{ prompt: 'x', n: 3, best_of: 2 }, 'best_of', 'invalid_value'],
    [{ prompt: 'x', best_of: 2, stream: true }, 'best_of', 'invalid_value'],
    [{ prompt: 'x', suffix: 5 }, 'suffix', 'invalid_value'],
    [{ prompt: 'x', grammar: { type: 'regex' } }, 'grammar.value', 'missing_required_parameter'],
  ]
  test.each(cases)('%j names %s', (body, param, code) => {
    try {
      parse(body)
    } catch (error) {
      expect((error as ApiError).data).toMatchObject({ status: 400, param, code })
      return
    }
    throw new Error('was accepted')
  })
})
