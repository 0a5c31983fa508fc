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
  ['sampling.dry.multiplier', 'dry_multiplier'],
  ['sampling.dry.allowedLength', 'dry_allowed_length'],
  ['prompt.messages.2.content.0', 'messages[2].content[0]'],
  ['prompt.tools.1.function.parameters', 'tools[1].function.parameters'],
  ['prompt.toolChoice', 'tool_choice'],
  ['prompt.suffix', 'suffix'],
  ['prompt.reasoning.enabled', 'enable_thinking'],
  ['maxReasoningTokens', 'max_reasoning_tokens'],
  ['truncatePrompt', 'truncate_sequence'],
  ['prompt', 'messages'],
  [undefined, undefined],
])('%s is %s', (path, param) => {
  expect(openaiParam(path, 'invalid', 'messages')).toBe(param)
})

test('some kinds of failure have a field of their own', () => {
  expect(openaiParam(undefined, 'model_not_found', 'messages')).toBe('model')
  expect(openaiParam(undefined, 'context_length', 'prompt')).toBe('prompt')
})
