import { describe, expect, test } from 'vitest'
import type { ChatMessage } from '../../edge/engine.ts'
import { truncateChat, truncateIds } from './truncatePrompt.ts'

const roles = new Map(['system', 'user', 'assistant', 'tool'].map(role => [role[0], role]))

/** Turns written as their role's first letter and a number, which is also the one id each has ten of. */
function turns(spec: string): ChatMessage[] {
  return spec.split(' ').map(turn => ({ role: roles.get(turn[0]) ?? '', content: turn }))
}

async function truncated(spec: string, maxTokens: number): Promise<string> {
  let numRenders = 0
  const prompt = { kind: 'chat' as const, messages: turns(spec) }
  const ids = await truncateChat(prompt, maxTokens, undefined, async kept => {
    numRenders++
    return Int32Array.from(
      kept.flatMap(({ content }) => Array(10).fill([...String(content)].map(c => c.charCodeAt(0)))),
      pair => (pair[0] ?? 0) * 256 + (pair[1] ?? 0),
    )
  })
  expect(numRenders).toBeLessThan(8)
  const names = [...ids].map(id => String.fromCharCode(id >> 8, id & 255))
  return names.filter((name, i) => name !== names[i - 1]).join(' ')
}

describe('a chat that is too long', () => {
  test.each([
    ['s1 u1 a1 u2 a2 u3', 50, 's1 u2 a2 u3'],
    ['s1 u1 a1 u2 a2 u3', 40, 's1 u2 a2 u3'],
    ['s1 u1 a1 u2 a2 u3', 39, 's1 u3'],
    ['s1 u1 a1 u2 a2 u3', 20, 's1 u3'],
    ['s1 u1 a1 u2 a2 u3', 19, 'u3'],
    ['s1 u1 a1 u2 a2 u3', 5, 'u3'],
    ['u1 a1 u2', 25, 'u2'],
    // The question stays, and so does the last round of calls.
    ['s1 u1 a1 t1 t2 a2 t3 a3 t4', 40, 's1 u1 a3 t4'],
    ['s1 u0 a0 u1 a1 t1 a2 t2 a3 t3', 65, 's1 u1 a2 t2 a3 t3'],
    ['s1 u1 a1 t1 a2 t2', 15, 'a2 t2'],
    ['u1', 3, 'u1'],
    ['s1', 3, 's1'],
    ['a1 u1 a2 u2', 20, 'u2'],
  ])('%s in %i tokens is %s', async (spec, maxTokens, expected) => {
    expect(await truncated(spec, maxTokens)).toBe(expected)
  })
})

test('a chat of many turns takes time in proportion to them', async () => {
  // Thousands did not come to an end when it was the cube of their number.
  const messages = Array.from({ length: 20_000 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: 'a',
  }))
  const ids = await truncateChat({ kind: 'chat', messages }, 10, undefined, async kept =>
    Int32Array.from(kept, () => 1),
  )
  expect(ids).toHaveLength(10)
})

test('ids are cut at the front, behind the one that begins every text', () => {
  const ids = Int32Array.of(1, 2, 3, 4, 5)
  expect([...truncateIds(ids, 5, 1)]).toEqual([1, 2, 3, 4, 5])
  expect([...truncateIds(ids, 3, undefined)]).toEqual([3, 4, 5])
  expect([...truncateIds(ids, 3, 1)]).toEqual([1, 4, 5])
  expect([...truncateIds(ids, 1, 1)]).toEqual([5])
  expect([...truncateIds(ids, 3, 9)]).toEqual([3, 4, 5])
})
