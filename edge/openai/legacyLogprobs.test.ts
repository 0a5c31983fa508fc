import { expect, test } from 'vitest'
import type { TokenLogprob } from '../engine.ts'
import { LegacyLogprobCounter } from './legacyLogprobs.ts'

const utf8 = new TextEncoder()
const token = (text: string | number[], logprob = -1): TokenLogprob => {
  const bytes = typeof text === 'string' ? [...utf8.encode(text)] : text
  return { id: 1, token: new TextDecoder().decode(Uint8Array.from(bytes)), bytes, logprob, top: [] }
}

test('offsets count characters, and parts of one character share its offset', () => {
  const [a, b, c, d] = utf8.encode('😀')
  const tokens = [
    token('é'),
    token([a ?? 0, b ?? 0]),
    token([c ?? 0]),
    token([d ?? 0, 0x21]),
    token('x'),
  ]
  expect(new LegacyLogprobCounter().generated(tokens).text_offset).toEqual([0, 1, 1, 1, 3])
})

test('a prompt token that is not in the text takes no room', () => {
  const counter = new LegacyLogprobCounter()
  expect(counter.prompt([token('<s>'), token(' Hi'), token(' you')], 'Hi you').text_offset).toEqual(
    [0, 0, 2],
  )
  expect(counter.generated([token('!')]).text_offset).toEqual([6])
})

test('text that no prompt token accounts for still counts', () => {
  const counter = new LegacyLogprobCounter()
  counter.prompt([token('other')], 'prompt')
  expect(counter.generated([token('!')]).text_offset).toEqual([6])
})

test('the chosen token is always told; of equal texts the better one', () => {
  const top = [
    { id: 2, token: 'b', bytes: [98], logprob: -0.2 },
    { id: 3, token: 'b', bytes: [98], logprob: -0.9 },
  ]
  const { top_logprobs } = new LegacyLogprobCounter().generated([{ ...token('a', -3), top }])
  expect(top_logprobs).toEqual([{ b: -0.2, a: -3 }])
})
