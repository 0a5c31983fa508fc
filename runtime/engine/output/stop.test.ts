import { describe, expect, it } from 'vitest'
import { StopMatcher } from './stop.ts'

function run(stops: string[], pieces: string[]): { text: string; stop?: string; parts: string[] } {
  const matcher = new StopMatcher(stops)
  const parts: string[] = []
  for (const piece of pieces) {
    const { text, stop } = matcher.push(piece)
    parts.push(text)
    if (stop !== undefined) return { text: parts.join(''), stop, parts }
  }
  parts.push(matcher.flush())
  return { text: parts.join(''), parts }
}

/** What must come out, by looking at the whole text. */
function expected(stops: string[], text: string): { text: string; stop?: string } {
  for (let end = 1; end <= text.length; end++) {
    const found = stops
      .filter(stop => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0]
    if (found !== undefined) return { text: text.slice(0, end - found.length), stop: found }
  }
  return { text }
}

describe('StopMatcher', () => {
  it.each([
    { stops: [], pieces: ['a', 'b'], text: 'ab' },
    { stops: ['END'], pieces: ['one E', 'N', 'D two'], text: 'one ', stop: 'END' },
    { stops: ['END'], pieces: ['one E', 'N', 'X'], text: 'one ENX' },
    { stops: ['\n\n'], pieces: ['a\n', 'b\n', '\nc'], text: 'a\nb', stop: '\n\n' },
    { stops: ['abcd', 'bc'], pieces: ['xab', 'cd'], text: 'xa', stop: 'bc' },
    { stops: ['c', 'abc'], pieces: ['ab', 'c'], text: '', stop: 'abc' },
    { stops: ['aab'], pieces: ['aaa', 'ab'], text: 'aa', stop: 'aab' },
    { stops: ['END'], pieces: ['one EN'], text: 'one EN' },
    { stops: ['😀'], pieces: ['😁', '😀'], text: '😁', stop: '😀' },
  ])('$stops in $pieces', ({ stops, pieces, text, stop }) => {
    const result = run(stops, pieces)
    expect(result.text).toBe(text)
    expect(result.stop).toBe(stop)
  })

  it('gives the same for any split and never sends part of a match', () => {
    let state = 1
    const random = (below: number) => {
      state = (state * 48271) % 2147483647
      return state % below
    }
    const letters = (length: number) =>
      Array.from({ length }, () => 'abc'[random(3)] ?? '').join('')
    for (let round = 0; round < 5000; round++) {
      const stops = Array.from({ length: random(4) }, () => letters(1 + random(5)))
      const text = letters(random(24))
      const pieces: string[] = []
      for (let at = 0; at < text.length; ) {
        const length = random(5)
        pieces.push(text.slice(at, at + length))
        at += length
      }
      const whole = expected(stops, text)
      const result = run(stops, pieces)
      expect(result.text).toBe(whole.text)
      expect(result.stop).toBe(whole.stop)
    }
  })

  it('holds back no more than could begin a stop string', () => {
    expect(run(['stop'], ['hello ', 'st', 'ay']).parts).toEqual(['hello ', '', 'stay', ''])
  })
})
