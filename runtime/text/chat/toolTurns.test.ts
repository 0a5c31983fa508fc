import { describe, expect, test } from 'vitest'
import type { ChatMessage, FunctionTool } from '../../../edge/engine.ts'
import { detectFormat } from '../../parse/detectFormat.ts'
import { ChatTemplate } from './chatTemplate.ts'

const chatml =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
/** Two roles, one after the other. */
const strict =
  "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) or m.role == 'system' %}{{ raise_exception('no') }}{% endif %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
/** It writes calls, and drops what it does not know. */
const callsOnly =
  "{% for m in messages %}{% if m.role == 'tool' %}[result]{{ m.content }}{% else %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}{% endif %}{% endfor %}"
/** It shows tools as well. */
const showsTools = `${callsOnly}{% if tools %}{{ tools | tojson }}{% endif %}`

const weather: FunctionTool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Tells it.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
    strict: true,
  },
}
const question: ChatMessage = { role: 'user', content: 'Weather?' }
const call: ChatMessage = {
  role: 'assistant',
  content: 'Wait.',
  toolCalls: [
    { id: 'a', name: 'weather', arguments: '{"city": "A"}' },
    { id: 'b', name: 'weather', arguments: '{"city": "B"}' },
  ],
}
const results: ChatMessage[] = [
  { role: 'tool', toolCallId: 'a', content: 'sun' },
  { role: 'tool', toolCallId: 'b', content: [{ type: 'text', text: 'rain' }] },
]
const callsText =
  '<tool_call>\n{"name": "weather", "arguments": {"city": "A"}}\n</tool_call>\n<tool_call>\n{"name": "weather", "arguments": {"city": "B"}}\n</tool_call>'
const resultsText =
  '<tool_response>\nsun\n</tool_response>\n\n<tool_response>\nrain\n</tool_response>'

function render(source: string, messages: ChatMessage[], tools = [weather]): string {
  return new ChatTemplate(source, {}).render({ kind: 'chat', messages, tools })
}

describe('a template that shows no tools', () => {
  test.each([
    [chatml, 'hermes'],
    [strict, 'hermes'],
    [callsOnly, 'mistral'],
    [showsTools, undefined],
    [`{% if tools %}{{ raise_exception('no tools') }}{% endif %}${chatml}`, 'hermes'],
    ["{{ raise_exception('no') }}", undefined],
  ])('%s has them told of in the form %s', (source, format) => {
    expect(new ChatTemplate(source, {}).describedCalls?.name).toBe(format)
  })

  test('the system turn tells of them and how to call them', () => {
    expect(render(chatml, [question])).toBe(`<|im_start|>system
# Tools

You may call functions to help with the request. These are there, as JSON, one on a line:
<tools>
{"type":"function","function":{"name":"weather","description":"Tells it.","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}
</tools>

To call one, write its name and an object with its arguments, in this form:
<tool_call>
{"name": "function-name", "arguments": {"argument-name": "value"}}
</tool_call>
Several calls in one answer:
<tool_call>
{"name": "function-name", "arguments": {"argument-name": "value"}}
</tool_call>
<tool_call>
{"name": "other-function", "arguments": {}}
</tool_call>
The turn after that has the results.<|im_end|>
<|im_start|>user
Weather?<|im_end|>
<|im_start|>assistant
`)
  })

  test('after what the system turn says, and in the first user turn where there can be none', () => {
    const system = { role: 'system', content: 'Be brief.' }
    expect(render(chatml, [system, question])).toMatch(
      /^<\|im_start\|>system\nBe brief\.\n\n# Tools\n/,
    )
    expect(render(strict, [system, question])).toMatch(
      /^<user>Be brief\.\n\n# Tools\n[\s\S]*results\.\n\nWeather\?$/,
    )
  })

  test('earlier calls and results are text, also without tools in the request', () => {
    expect(render(strict, [question, call, ...results], [])).toBe(
      `<user>Weather?<assistant>Wait.\n\n${callsText}<user>${resultsText}`,
    )
    const bare = { ...call, content: null }
    const thanks = { role: 'user', content: 'Thanks.' }
    expect(render(strict, [question, bare, ...results, thanks], [])).toBe(
      `<user>Weather?<assistant>${callsText}<user>${resultsText}\n\nThanks.`,
    )
  })

  test('its own form of calls stays', () => {
    const text = render(callsOnly, [question, call, ...results])
    expect(text).toContain('\n[TOOL_CALLS]function-name[ARGS]{"argument-name": "value"}\n')
    expect(text).toMatch(
      /<assistant>Wait\.\[TOOL_CALLS\]weather\[ARGS\]\{"city": "A"\}.*\[result\]sun\[result\]rain$/,
    )
  })

  test('a turn more leaves the prompt before it as it was', () => {
    const first = render(chatml, [question])
    const second = render(chatml, [question, { ...call, content: '' }, ...results])
    expect(second.startsWith(`${first}${callsText}<|im_end|>\n`)).toBe(true)
  })

  test('conversations without tools are as they were', () => {
    expect(render(strict, [question], [])).toBe('<user>Weather?')
  })
})

describe('a template that reads tools from the system turn, as that of Phi-4-mini', () => {
  const phi =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'system' and m.tools %}{{ '<|tool|>' + m.tools + '<|/tool|>' }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
  const list =
    '[{"name":"weather","description":"Tells it.","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]'

  test('is shown them there, and its own format of calls is read', () => {
    expect(new ChatTemplate(phi, {}).describedCalls).toBeUndefined()
    expect(detectFormat([phi]).calls?.name).toBe('phi')
    const system = { role: 'system', content: 'Be brief.' }
    expect(render(phi, [system, question])).toBe(
      `<|system|>Be brief.<|tool|>${list}<|/tool|><|end|><|user|>Weather?<|end|><|assistant|>`,
    )
    expect(render(phi, [question])).toBe(
      `<|system|><|tool|>${list}<|/tool|><|end|><|user|>Weather?<|end|><|assistant|>`,
    )
  })

  test('is shown earlier calls as text in that format, and results in its own way', () => {
    const calls =
      '<|tool_call|>[{"name": "weather", "arguments": {"city": "A"}}, {"name": "weather", "arguments": {"city": "B"}}]<|/tool_call|>'
    expect(render(phi, [question, { ...call, content: null }, ...results], [])).toBe(
      `<|user|>Weather?<|end|><|assistant|>${calls}<|end|><|tool|>sun<|end|><|tool|>rain<|end|><|assistant|>`,
    )
  })

  test('is as it was without tools', () => {
    expect(render(phi, [question], [])).toBe('<|user|>Weather?<|end|><|assistant|>')
  })
})
