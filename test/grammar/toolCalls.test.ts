import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../edge/engine.ts'
import { compileAutomaton } from '../../runtime/grammar/automaton.ts'
import type { CallableTool } from '../../runtime/grammar/callArguments.ts'
import { MatchGraph, type MatchState } from '../../runtime/grammar/matchState.ts'
import { lowerOutput, type OutputRequest } from '../../runtime/grammar/outputGrammar.ts'
import { OutputParser } from '../../runtime/parse/outputParser.ts'
import { reasoningFormats } from '../../runtime/parse/reasoningFormats.ts'
import type { ParsedDelta } from '../../runtime/parse/tape.ts'
import { toolCallFormats } from '../../runtime/parse/toolCallFormats.ts'
import { randomSource } from './randomSchema.ts'

const weather: JsonObject = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    unit: { enum: ['celsius', 'fahrenheit'] },
    days: { type: 'integer', minimum: 1, maximum: 14 },
    where: {
      type: 'object',
      properties: { lat: { type: 'number' }, tags: { type: 'array', items: { type: 'string' } } },
      required: ['lat'],
    },
  },
  required: ['city', 'days'],
  additionalProperties: false,
}
const tools: CallableTool[] = [
  { name: 'get_weather', parameters: weather, strict: true },
  { name: 'now', parameters: { type: 'object', properties: {} }, strict: true },
]
const byName = new Map(tools.map(tool => [tool.name, tool.parameters]))
const printable = Array.from({ length: 95 }, (_, i) => 32 + i).concat(10)

/** A random text of the language: anything for a while, then the nearest end. */
function randomText(graph: MatchGraph, seed: number, length: number): string {
  const random = randomSource(seed)
  const bytes: number[] = []
  let state: MatchState = graph.start
  while (bytes.length < 5000) {
    if (state.accepts && (bytes.length >= length || random() < 0.05)) break
    const next: { byte: number; to: MatchState }[] = []
    for (const byte of printable.concat(bytes.length >= length ? all : [])) {
      const to = graph.step(state, byte)
      const isNearer = to !== null && to.distance < state.distance
      if (to !== null && (bytes.length < length || isNearer)) next.push({ byte, to })
    }
    // Characters beyond ASCII only where nothing else can be.
    if (next.length === 0) {
      for (const byte of all) {
        const to = graph.step(state, byte)
        if (to !== null) next.push({ byte, to })
      }
    }
    const chosen = next[Math.floor(random() * next.length)]
    if (chosen === undefined) break
    bytes.push(chosen.byte)
    state = chosen.to
  }
  expect(state.accepts).toBe(true)
  return Buffer.from(bytes).toString('utf8')
}
const all = Array.from({ length: 256 }, (_, i) => i)

function parse(request: OutputRequest, text: string): ParsedDelta[] {
  const format = {
    reasoning: reasoningFormats.find(({ name }) => name === request.reasoning?.format),
    calls: toolCallFormats.find(({ name }) => name === request.calls?.format),
  }
  const parser = new OutputParser(format, byName, '')
  return [...parser.push(text), ...parser.flush()]
}

function callsOf(deltas: ParsedDelta[]): { name: string; arguments: string }[] {
  const calls: { name: string; arguments: string }[] = []
  for (const delta of deltas) {
    if (delta.kind === 'call_start') calls.push({ name: delta.name, arguments: '' })
    const call = calls.at(-1)
    if (delta.kind === 'call_arguments' && call) call.arguments += delta.text
  }
  return calls
}

const ajv = new Ajv2020({ strict: false })

describe.each(toolCallFormats.map(({ name }) => name))('calls in the format of %s', format => {
  const reasoning = format === 'harmony' ? 'harmony' : format === 'gemma4' ? 'gemma4' : 'think'
  const request = (required: boolean, parallel: boolean): OutputRequest => ({
    calls: { format, tools, required, parallel },
    reasoning: { format: reasoning, start: 'optional' },
    controlTokens: [],
  })
  const graphOf = (output: OutputRequest) =>
    new MatchGraph(
      compileAutomaton(lowerOutput(output), {
        byteTokens: new Uint8Array(256).fill(1),
        maxTokenBytes: 8,
      }),
    )

  it.each([
    { required: true, parallel: true },
    { required: true, parallel: false },
    { required: false, parallel: true },
  ])('are read back, and follow their schemas: %o', ({ required, parallel }) => {
    const output = request(required, parallel)
    const graph = graphOf(output)
    let numCalls = 0
    for (let seed = 0; seed < 60; seed++) {
      const text = randomText(graph, seed, 40 + seed * 4)
      const deltas = parse(output, text)
      const calls = callsOf(deltas)
      numCalls += calls.length
      if (required) {
        expect(calls.length, text).toBeGreaterThan(0)
        expect(
          deltas.filter(d => d.kind === 'text' && d.text.trim() !== ''),
          text,
        ).toEqual([])
      }
      if (!parallel) expect(calls.length, text).toBeLessThanOrEqual(1)
      for (const call of calls) {
        const schema = byName.get(call.name) ?? {}
        const isValid = ajv.validate(schema, JSON.parse(call.arguments))
        expect(isValid, `${text}\n${call.arguments} ${ajv.errorsText()}`).toBe(true)
      }
    }
    if (required) expect(numCalls).toBeGreaterThan(59)
  })
})
