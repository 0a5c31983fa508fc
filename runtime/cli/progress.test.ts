import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createProgress } from './progress.ts'

const asStream = (isTTY: boolean) =>
  Object.assign(new PassThrough(), { isTTY, columns: 80, cursorTo() {}, clearLine() {} })

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('a log gets nothing of a short wait, and a line per quarter of a long one', () => {
  const lines: string[] = []
  const stream = asStream(false) as unknown as NodeJS.WriteStream
  const progress = createProgress(stream, line => lines.push(line))
  for (let i = 0; i <= 10; i++) progress.update('Short', i, 10, 'items')
  vi.advanceTimersByTime(5000)
  expect(lines).toEqual([])
  for (let i = 0; i <= 100; i++) {
    progress.update('Long', i * 1e6, 100e6, 'bytes')
    vi.advanceTimersByTime(100)
  }
  expect(lines).toEqual([
    'Long: 19 % (19.0/100.0 MB)',
    'Long: 44 % (44.0/100.0 MB)',
    'Long: 69 % (69.0/100.0 MB)',
    'Long: 94 % (94.0/100.0 MB)',
    'Long: 100 % (100.0/100.0 MB)',
  ])
})

test('a log gets a line of a slow wait now and then, also when nothing moves at first', () => {
  const lines: string[] = []
  const stream = asStream(false) as unknown as NodeJS.WriteStream
  const progress = createProgress(stream, line => lines.push(line))
  progress.update('Slow', 0, 100, 'items')
  vi.advanceTimersByTime(2500)
  expect(lines).toEqual(['Slow: 0 % (0/100)'])
  vi.advanceTimersByTime(20_000)
  progress.update('Slow', 1, 100, 'items')
  expect(lines.at(-1)).toBe('Slow: 1 % (1/100)')
})

test('a terminal gets a bar, and one for each wait', async () => {
  const stream = asStream(true)
  let shown = ''
  stream.setEncoding('utf8').on('data', text => {
    shown += text
  })
  const progress = createProgress(stream as unknown as NodeJS.WriteStream, () => {})
  progress.update('Loading', 1, 4, 'items')
  vi.advanceTimersByTime(1000)
  progress.update('Loading', 3, 4, 'items')
  progress.update('Measuring', 0, 2, 'items')
  vi.advanceTimersByTime(1000)
  progress.stop()
  await new Promise(setImmediate)
  expect(shown).toMatch(/Loading \[.*\] 25% 1\/4[\s\S]*Measuring \[.*\] 0% 0\/2/)
})
