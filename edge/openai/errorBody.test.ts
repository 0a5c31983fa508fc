import { expect, test } from 'vitest'
import { openaiParam } from './errorBody.ts'

test.each([
  ['sampling.topP', 'top_p'],
  ['sampling.logitBias[3]', 'logit_bias[3]'],
  ['sampling.frequencyPenalty', 'frequency_penalty'],
  ['maxTokens', 'max_tokens'],
  ['prompt.messages[2].toolCallId', 'messages[2].toolCallId'],
  ['prompt.tools', 'tools'],
  ['prompt.templateOptions.enable_thinking', 'chat_template_kwargs.enable_thinking'],
  ['prompt.prompts[1]', 'prompt[1]'],
  ['prompt.prompts.1', 'prompt[1]'],
  ['logprobs.top', 'top_logprobs'],
  ['promptLogprobs', 'echo'],
  ['prompt', 'messages'],
  [undefined, undefined],
])('%s is %s', (path, param) => {
  expect(openaiParam(path, 'invalid', 'messages')).toBe(param)
})

test('some kinds of failure have a field of their own', () => {
  expect(openaiParam(undefined, 'model_not_found', 'messages')).toBe('model')
  expect(openaiParam(undefined, 'context_length', 'prompt')).toBe('prompt')
})
