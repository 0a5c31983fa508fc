import type { JsonObject } from '../../edge/engine.ts'
import { detectFormat } from '../../runtime/parse/detectFormat.ts'
import { OutputParser } from '../../runtime/parse/outputParser.ts'
import type { ParsedDelta } from '../../runtime/parse/tape.ts'

export const weatherTools = new Map<string, JsonObject>([
  [
    'get_weather',
    {
      type: 'object',
      properties: {
        city: { type: 'string' },
        unit: { enum: ['celsius', 'fahrenheit'] },
        days: { type: 'integer' },
        wind: { type: ['number', 'null'] },
        rain: { type: 'boolean' },
        hours: { type: 'array' },
        area: { type: 'object' },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      },
    },
  ],
  ['get', { type: 'object' }],
  ['now', { type: 'object', properties: {} }],
])

export interface ParseCase {
  /** Names of parsers. */
  reasoning?: string
  calls?: string
  promptTail?: string
  tools?: ReadonlyMap<string, JsonObject>
}

/** All deltas of an output that comes in the given pieces. */
export function parsePieces(options: ParseCase, pieces: readonly string[]): ParsedDelta[] {
  const { reasoning = 'none', calls = 'none', promptTail = '', tools = weatherTools } = options
  const format = detectFormat([], { reasoning, toolCalls: calls })
  const parser = new OutputParser(format, tools, promptTail)
  return [...pieces.flatMap(piece => parser.push(piece)), ...parser.flush()]
}

/**
 * Deltas in short, neighbours joined: `text|…`, `reasoning|…`, and `call|name|arguments` for a call that ended or `void|…` for
 * one that did not. Markup is left out.
 */
export function summarize(deltas: readonly ParsedDelta[]): string[] {
  const lines: { kind: string; text: string }[] = []
  for (const delta of deltas) {
    const last = lines.at(-1)
    if (delta.kind === 'markup') continue
    if (delta.kind === 'call_start') lines.push({ kind: 'void', text: `${delta.name}|` })
    else if (delta.kind === 'call_end') {
      if (last?.kind !== 'void') throw new Error('a call ends that has not begun')
      last.kind = 'call'
    } else if (delta.kind === 'call_arguments') {
      if (last?.kind !== 'void') throw new Error('arguments outside of a call')
      last.text += delta.text
    } else if (last?.kind === delta.kind) last.text += delta.text
    else lines.push({ kind: delta.kind, text: delta.text })
  }
  return lines.map(({ kind, text }) => `${kind}|${text}`)
}
