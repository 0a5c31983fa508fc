import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ChatMessage } from '../../../edge/engine.ts'
import { sharedDir } from '../../../test/conformance/goldenFolders.ts'
import { ChatTemplate, type ChatTemplateSource, templateTexts } from './chatTemplate.ts'

import { type TurnTraits, turnTraits } from './turnTraits.ts'

function traitsOf(source: ChatTemplateSource): TurnTraits {
  const template = new ChatTemplate(source, {})
  return turnTraits(templateTexts(source), (messages, tools = []) =>
    template.renderVariables({ messages, tools: tools.length > 0 ? tools : null }),
  )
}

const loop = (body: string) => `{% for m in messages %}${body}{% endfor %}`

describe('traits by trial', () => {
  const cases: [string, string, object][] = [
    [
      'a plain loop',
      loop('{{ m.role }}:{{ m.content }}'),
      { developerRole: false, systemTurn: true, severalSystemTurns: true, lateSystemTurn: true },
    ],
    [
      'the role developer',
      loop("{% if m.role == 'developer' %}x{% endif %}{{ m.content }}"),
      { developerRole: true },
    ],
    [
      'a refusal',
      loop("{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}"),
      { systemTurn: false, severalSystemTurns: false, lateSystemTurn: false },
    ],
    [
      'only the first turn',
      loop("{% if m.role != 'system' or loop.first %}{{ m.content }}{% endif %}"),
      { systemTurn: true, severalSystemTurns: false, lateSystemTurn: false },
    ],
    [
      'system turns moved to the front',
      loop("{% if m.role == 'system' %}{{ m.content }}{% endif %}") +
        loop("{% if m.role != 'system' %}{{ m.content }}{% endif %}"),
      { systemTurn: true, severalSystemTurns: true, lateSystemTurn: false },
    ],
    [
      'user turns that have to alternate',
      loop(
        "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no') }}{% endif %}{{ m.content }}",
      ),
      { severalUserTurns: false },
    ],
    [
      'a template that refuses everything says so itself',
      '{{ raise_exception("no") }}',
      { systemTurn: true, severalSystemTurns: true, lateSystemTurn: true },
    ],
  ]
  test.each(cases)('%s', (_, source, expected) => {
    expect(traitsOf(source)).toMatchObject(expected)
  })

  const calls = (body: string) =>
    loop(`{{ m.content or '' }}{% for c in m.tool_calls %}${body}{% endfor %}`)
  const callCases: [string, string, object][] = [
    [
      'arguments written as JSON',
      calls('{{ c.function.arguments | tojson }}'),
      { shown: true, argumentText: false, nullContent: true, apart: false },
    ],
    [
      'arguments walked through',
      calls('{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}'),
      { argumentText: false },
    ],
    ['arguments printed', calls('{{ c.function.arguments }}'), { argumentText: true }],
    [
      'content printed as it is',
      loop(
        '{{ m.content }}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}',
      ),
      { nullContent: false },
    ],
    [
      'calls only where there is no content',
      loop(
        '{% if m.content is none %}{{ m.tool_calls[0].function.arguments | tojson }}{% else %}{{ m.content }}{% endif %}',
      ),
      { nullContent: true, apart: true },
    ],
    [
      'a text of its own is one turn too many',
      loop(
        '{% if m.tool_calls %}{{ m.tool_calls[0].function.arguments | tojson }}{% else %}{{ m.content }}{% endif %}',
      ) +
        "{% if messages | selectattr('tool_calls', 'undefined') | selectattr('role', 'equalto', 'assistant') | list | length > 1 %}{{ raise_exception('no') }}{% endif %}",
      { apart: false },
    ],
    [
      'no calls at all',
      loop('{{ m.content }}'),
      { shown: false, argumentText: false, apart: false },
    ],
  ]
  test.each(callCases)('%s', (_, source, expected) => {
    expect(traitsOf(source).calls).toMatchObject(expected)
  })

  test('calls are tried on the template for tools', () => {
    const named = new Map([
      ['default', loop('{{ m.content }}')],
      ['tool_use', calls('{{ c.function.arguments }}')],
    ])
    expect(traitsOf(named).calls.argumentText).toBe(true)
  })
})

const folder = join(sharedDir, 'conformance/templates')
const isThere = existsSync(folder)
if (!isThere) console.log(`skipped: ${folder} is not there`)

describe.skipIf(!isThere)('real templates', () => {
  const files = isThere ? readdirSync(folder).filter(name => name.endsWith('.jinja')) : []

  /** A conversation with everything a client may say; all its texts must reach the model, in this order. */
  const messages: ChatMessage[] = [
    { role: 'system', content: 'rule one' },
    { role: 'developer', content: 'rule two' },
    { role: 'user', content: 'question one' },
    { role: 'assistant', content: 'answer one' },
    { role: 'system', content: 'rule three' },
    { role: 'user', content: 'question two' },
  ]

  test.each(files)('%s shows every turn', file => {
    const source = readFileSync(join(folder, file), 'utf8')
    const template = new ChatTemplate(source, { bos_token: '<s>', eos_token: '</s>' })
    // Some only work with tools.
    const tools = [{ type: 'function' as const, function: { name: 'f' } }]
    const text = template.render({
      kind: 'chat',
      messages,
      ...(/tool_use/.test(file) && { tools }),
    })
    const at = messages.map(({ content }) => text.indexOf(String(content)))
    // Mistral's templates put the system text into the last user turn.
    const isMoved = (at[0] ?? 0) > (at[2] ?? 0)
    expect(at.every(position => position >= 0)).toBe(true)
    expect((isMoved ? at.slice(2) : at).toSorted((a, b) => a - b)).toEqual(
      isMoved ? at.slice(2) : at,
    )
  })
})
