import fc from 'fast-check'
import { expect, test } from 'vitest'
import { outputCases } from '../../test/support/outputCases.ts'
import { parsePieces, summarize } from '../../test/support/parseOutput.ts'
import { reasoningFormats } from './reasoningFormats.ts'
import type { ParsedDelta } from './tape.ts'
import { toolCallFormats } from './toolCallFormats.ts'

const isHarmony = (name: string) => name === 'harmony'
const pairs = toolCallFormats.flatMap(({ name: calls }) =>
  reasoningFormats
    .filter(({ name }) => isHarmony(name) === isHarmony(calls))
    .map(({ name: reasoning }) => ({ calls, reasoning })),
)
const fragments = [
  ...toolCallFormats.flatMap(format => [
    ...format.markers,
    ...format.openers.map(({ text }) => text),
    format.written.before('get_weather'),
    format.written.before('now'),
    format.written.after,
  ]),
  ...reasoningFormats.flatMap(({ open, close }) => [open, close]),
  '<parameter=city>\n',
  '\n</parameter>\n',
  '<function=get_weather>',
  '{"city": "Zü"}',
  '{}',
  ...'{}[]",:\n \\a1🌧<',
]

/** Outputs near those that models write: recorded ones, disturbed, and random ones out of the words of all formats. */
const words = fc.array(fc.oneof(fc.constantFrom(...fragments), fc.string({ maxLength: 3 })), {
  maxLength: 24,
})
const recorded = Object.values(outputCases).flatMap(({ outputs }) => outputs.map(o => o.output))
const disturbed = fc
  .tuple(
    fc.constantFrom(...recorded),
    fc.nat(),
    fc.nat({ max: 4 }),
    fc.constantFrom('', ...fragments),
  )
  .map(([output, at, length, inserted]) => {
    const from = at % (output.length + 1)
    return output.slice(0, from) + inserted + output.slice(from + length)
  })
const outputs = fc.oneof(
  words.map(parts => parts.join('')),
  disturbed,
)

/** Splits a text at the given places, between any two UTF-16 units. */
function split(text: string, places: number[]): string[] {
  const cuts = [...new Set(places.map(place => place % (text.length + 1)))].sort((a, b) => a - b)
  return [...cuts, text.length].map((end, i) => text.slice(cuts[i - 1] ?? 0, end))
}

test('any split of any output gives the same deltas', () => {
  fc.assert(
    fc.property(
      outputs,
      fc.constantFrom(...pairs),
      fc.array(fc.nat(), { maxLength: 40 }),
      fc.constantFrom('', '<think>\n', '<|start|>assistant', '<|channel>thought\n'),
      (output, pair, places, promptTail) => {
        const options = { ...pair, promptTail }
        const whole = summarize(parsePieces(options, [output]))
        expect(summarize(parsePieces(options, split(output, places)))).toEqual(whole)
        expect(summarize(parsePieces(options, output.split('')))).toEqual(whole)
      },
    ),
    { numRuns: 3000 },
  )
})

test('what is given comes from the output, in order, and ends where the output does', () => {
  fc.assert(
    fc.property(outputs, fc.constantFrom(...pairs), (output, pair) => {
      const deltas = parsePieces(pair, [...output])
      let end = 0
      for (const delta of deltas) {
        expect(delta.end).toBeGreaterThanOrEqual(end)
        end = delta.end
        if (delta.kind !== 'text' && delta.kind !== 'reasoning') continue
        expect(output.slice(0, end).endsWith(delta.text)).toBe(true)
      }
      expect(end).toBeLessThanOrEqual(output.length)
    }),
    { numRuns: 2000 },
  )
})

test('an output without a call is text as it is written', () => {
  fc.assert(
    fc.property(outputs, fc.constantFrom(...pairs), (output, pair) => {
      fc.pre(!isHarmony(pair.calls))
      const deltas = parsePieces({ calls: pair.calls }, [...output])
      fc.pre(!deltas.some(({ kind }) => kind === 'call_start'))
      expect(textOf(deltas)).toBe(output)
    }),
    { numRuns: 2000 },
  )
})

test('calls of tools that are not declared are text as it is written', () => {
  fc.assert(
    fc.property(outputs, fc.constantFrom(...pairs), (output, { calls }) => {
      fc.pre(!isHarmony(calls))
      const tools = new Map([['something_else', {}]])
      expect(textOf(parsePieces({ calls, tools }, [...output]))).toBe(output)
    }),
    { numRuns: 2000 },
  )
})

test('what a call leaves out of its source is the markup of its format alone', () => {
  const mark = 'Zq7!'
  fc.assert(
    fc.property(outputs, fc.constantFrom(...pairs), fc.nat(), (output, pair, place) => {
      // A mark that is in no tag has to come out again, wherever it stands.
      const at = place % (output.length + 1)
      const marked = output.slice(0, at) + mark + output.slice(at)
      // Ids and types are dropped on purpose, as is what was begun when a call was cut.
      fc.pre(!/"(?:id|type)"/.test(marked))
      const deltas = parsePieces(pair, [...marked])
      fc.pre(!summarize(deltas).at(-1)?.startsWith('void|'))
      expect(deltas.map(delta => ('text' in delta ? delta.text : '')).join('')).toContain(mark)
    }),
    { numRuns: 3000 },
  )
})

function textOf(deltas: readonly ParsedDelta[]): string {
  return deltas.map(delta => (delta.kind === 'text' ? delta.text : '')).join('')
}
