import { describe, expect, test } from 'vitest'
import type { ChatMessage } from '../../../edge/engine.ts'
import { ChatTemplate } from './chatTemplate.ts'
import { ChatTemplateError } from './chatTemplateError.ts'

const chatml = `{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]{% endfor %}<|end|>
{% endfor %}{% if tools %}{{ tools[0].function.name }} {% endif %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

const user: ChatMessage = { role: 'user', content: 'Hi' }

function render(messages: ChatMessage[], more = {}, source: string | Map<string, string> = chatml) {
  return new ChatTemplate(source, { bos_token: '<s>' }).render({ kind: 'chat', messages, ...more })
}

describe('ChatTemplate', () => {
  test('maps messages to the shape templates read', () => {
    const assistant: ChatMessage = {
      role: 'assistant',
      content: null,
      reasoning: 'hm',
      toolCalls: [
        { id: '1', name: 'f', arguments: '{"é": [1, 2.5]}' },
        { id: '2', name: 'g', arguments: 'not json' },
      ],
    }
    const tool: ChatMessage = {
      role: 'tool',
      content: [
        { type: 'text', text: 'o' },
        { type: 'text', text: 'k' },
      ],
    }
    expect(
      render([user, assistant, tool], { tools: [{ type: 'function', function: { name: 'f' } }] }),
    ).toBe(
      '<s><|user|>Hi<|end|>\n<|assistant|>(hm)[f {"é": [1, 2.5]}][g {"arguments": "not json"}]<|end|>\n<|tool|>ok<|end|>\nf <|assistant|>',
    )
  })

  test('goes on with the last assistant message', () => {
    const begun: ChatMessage = { role: 'assistant', content: 'I am ' }
    expect(render([user, begun], { addGenerationPrompt: false })).toBe(
      '<s><|user|>Hi<|end|>\n<|assistant|>I am ',
    )
    const empty: ChatMessage = { role: 'assistant', content: '' }
    expect(render([user, empty], { addGenerationPrompt: false })).toBe(
      '<s><|user|>Hi<|end|>\n<|assistant|>',
    )
    expect(render([user], { addGenerationPrompt: false })).toBe('<s><|user|>Hi<|end|>\n')
    expect(() => render([user, begun], { addGenerationPrompt: false }, 'fixed text')).toThrow(
      /cannot be continued/,
    )
  })

  test('hands extra variables to the template', () => {
    const source = '{{ enable_thinking }} {{ nothing is defined }}'
    expect(render([user], { templateOptions: { enable_thinking: false } }, source)).toBe(
      'False False',
    )
  })

  test('chooses among named templates', () => {
    const named = new Map([
      ['default', 'plain'],
      ['tool_use', 'with {{ tools[0].function.name }}'],
    ])
    expect(render([user], {}, named)).toBe('plain')
    expect(render([user], { tools: [] }, named)).toBe('plain')
    expect(render([user], { tools: [{ type: 'function', function: { name: 'f' } }] }, named)).toBe(
      'with f',
    )
    expect(
      render(
        [user],
        { tools: [{ type: 'function', function: { name: 'f' } }] },
        new Map([['default', 'plain']]),
      ),
    ).toBe('plain')
    expect(() => render([user], {}, new Map([['rag', 'x']]))).toThrow(
      'the model has no default chat template, only: rag',
    )
  })

  test.each([
    ['{{ raise_exception("roles must alternate") }}', /^roles must alternate$/],
    ['{{ nope.deeper }}', /UndefinedError: 'nope' is undefined/],
    ['{% if %}', /chat template cannot be used: .*Expected an expression/],
    ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /nests too deeply/],
    [
      '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}',
      /runs too long/,
    ],
    ['{{ "a" * 10000000000 }}', /too long/],
    [
      '{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}',
      /too long/,
    ],
    ['{{ "x"|center(10000000000) }}', /makes too long a text/],
  ])('%s is a ChatTemplateError', (source, message) => {
    // Once: it takes some of them long to fail.
    let thrown: unknown
    try {
      render([user], {}, source)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(ChatTemplateError)
    expect((thrown as ChatTemplateError).message).toMatch(message)
  })

  test('a template that needs a whole tool gets one', () => {
    const source = '{% for t in tools %}{{ t.function.name + t.function.description }}{% endfor %}'
    const bare = { type: 'function', function: { name: 'f' } }
    expect(render([user], { tools: [bare] }, source)).toBe('f')
    expect(render([user], { tools: [bare] }, '{{ tools | tojson }}')).not.toContain('description')
  })
})
