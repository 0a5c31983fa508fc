import { describe, expect, test } from 'vitest'
import type { ChatMessage } from '../../../edge/engine.ts'
import { contentText } from './chatMessages.ts'
import { toTemplateTurns } from './chatTurns.ts'
import type { TurnTraits } from './turnTraits.ts'

const everything: TurnTraits = {
  developerRole: true,
  systemTurn: true,
  severalSystemTurns: true,
  lateSystemTurn: true,
  severalUserTurns: true,
  tools: true,
  systemTools: true,
  bareTools: true,
  calls: { shown: true, argumentText: false, nullContent: false, apart: false },
}

/** Turns as `s:text`; the first letter of the role is enough. */
function turns(spec: string): ChatMessage[] {
  const roles = new Map(['system', 'developer', 'user', 'assistant'].map(role => [role[0], role]))
  return spec.split(' ').map(turn => ({ role: roles.get(turn[0]) ?? '', content: turn.slice(2) }))
}

function spec(messages: ChatMessage[]): string {
  return messages.map(({ role, content }) => `${role[0]}:${content}`).join(' ')
}

describe('system and user turns', () => {
  const cases: [Partial<TurnTraits>, string, string][] = [
    [{}, 's:a d:b u:c s:d u:e', 's:a d:b u:c s:d u:e'],
    [{ developerRole: false }, 'd:a u:b d:c', 's:a u:b s:c'],
    [{ severalSystemTurns: false }, 's:a s:b s:c u:d', 's:a\n\nb\n\nc u:d'],
    [{ severalSystemTurns: false, developerRole: false }, 'd:a s:b u:c', 's:a\n\nb u:c'],
    [{ lateSystemTurn: false }, 's:a u:b a:c s:d u:e', 's:a u:b a:c u:d\n\ne'],
    [{ lateSystemTurn: false }, 'u:b s:c s:d a:e u:f', 'u:b a:e u:c\n\nd\n\nf'],
    [{ lateSystemTurn: false }, 'u:b a:c s:d', 'u:b a:c u:d'],
    [{ systemTurn: false, lateSystemTurn: false }, 's:a s:b u:c', 'u:a\n\nb\n\nc'],
    [{ systemTurn: false, lateSystemTurn: false }, 's:a', 'u:a'],
    [{ systemTurn: false, lateSystemTurn: false }, 's:a u:b a:c s:d u:e', 'u:a\n\nb a:c u:d\n\ne'],
    [{}, 'u:a u:b a:c', 'u:a u:b a:c'],
    [{ severalUserTurns: false }, 's:a u:b u:c u:d a:e u:f', 's:a u:b\n\nc\n\nd a:e u:f'],
    [{ severalUserTurns: false, systemTurn: false }, 'd:a u:b u:c', 'u:a\n\nb\n\nc'],
  ]
  test.each(cases)('%j: %s', (traits, before, after) => {
    expect(spec(toTemplateTurns(turns(before), { ...everything, ...traits }))).toBe(after)
  })

  test.each([
    ['user', 'user', { severalUserTurns: false }],
    ['leading system', 'system', { severalSystemTurns: false }],
    ['late system', 'system', { systemTurn: false }],
  ])('a hundred thousand %s turns of parts take no longer than their parts', (_, role, traits) => {
    const part = { type: 'text' as const, text: 'a' }
    const turn = { role, content: [part, part] }
    const [merged, ...others] = toTemplateTurns(
      Array.from({ length: 100_000 }, () => turn),
      { ...everything, ...traits },
    )
    expect(others).toEqual([])
    expect(merged?.content).toHaveLength(299_999)
    expect(contentText(merged?.content ?? null)).toBe(`${'aa\n\n'.repeat(99_999)}aa`)
  })

  test('merging keeps the parts of a turn and their order', () => {
    const image = { type: 'image' as const, source: { kind: 'url' as const, url: 'http://a' } }
    const messages: ChatMessage[] = [
      { role: 'system', content: 'look' },
      { role: 'user', content: [image] },
    ]
    const none = { ...everything, systemTurn: false }
    expect(toTemplateTurns(messages, none)).toEqual([
      {
        role: 'user',
        content: [{ type: 'text', text: 'look' }, { type: 'text', text: '\n\n' }, image],
      },
    ])
  })
})

describe('calls', () => {
  const toolCalls = [{ id: '1', name: 'f', arguments: '{}' }]

  test('text and calls come apart where a template shows only one of them', () => {
    const calls = { ...everything.calls, apart: true }
    const messages: ChatMessage[] = [
      { role: 'assistant', content: 'text', reasoning: 'hm', toolCalls },
      { role: 'assistant', content: '', toolCalls },
      { role: 'assistant', content: 'text' },
    ]
    expect(toTemplateTurns(messages, { ...everything, calls })).toEqual([
      { role: 'assistant', content: 'text', reasoning: 'hm' },
      { role: 'assistant', content: null, toolCalls },
      ...messages.slice(1),
    ])
  })
})
