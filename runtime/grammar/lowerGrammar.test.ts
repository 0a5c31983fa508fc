import { describe, expect, it } from 'vitest'
import type { Grammar, JsonObject } from '../../edge/engine.ts'
import { compileAutomaton } from './automaton.ts'
import { GrammarError } from './expr.ts'
import { lowerGrammar } from './lowerGrammar.ts'
import { MatchGraph, type MatchState } from './matchState.ts'

const limits = { byteTokens: new Uint8Array(256).fill(1), maxTokenBytes: 8 }

function compile(grammar: Grammar): MatchGraph {
  return new MatchGraph(compileAutomaton(lowerGrammar(grammar), limits))
}

function matches(graph: MatchGraph, text: string): boolean {
  let state: MatchState | null = graph.start
  for (const byte of new TextEncoder().encode(text)) {
    state = graph.step(state, byte)
    if (state === null) return false
  }
  return state.accepts
}

const regex = (pattern: string): Grammar => ({ type: 'regex', pattern })
const gbnf = (grammar: string): Grammar => ({ type: 'gbnf', grammar })
const lark = (grammar: string): Grammar => ({ type: 'lark', grammar })
const json = (schema: JsonObject): Grammar => ({ type: 'json_schema', schema })

const cases: [name: string, grammar: Grammar, yes: string[], no: string[]][] = [
  ['counts', regex('a{2,3}b'), ['aab', 'aaab'], ['ab', 'aaaab', 'aabx']],
  ['anchors at the ends', regex('^(foo|ba[rz])+$'), ['foo', 'barbaz'], ['ba', '']],
  ['classes and escapes', regex('[^a-c]\\d\\u00e9'), ['x1é', 'ü2é'], ['a1é']],
  ['lazy counts and named groups', regex('(?<a>x+?)(?:y*?)'), ['x', 'xxy'], ['y']],
  ['properties', regex('\\p{Lu}\\P{Lu}'), ['Äb', 'A1'], ['ab', 'AB']],
  ['classes of everything', regex('[^][\\s\\S]'), ['\n\n', 'é😀'], ['a']],
  ['characters of four bytes', regex('[😀-😂]+'), ['😀😁'], ['😃']],
  [
    'choices',
    { type: 'choice', choices: ['yes', 'no', 'yes sir'] },
    ['yes', 'yes sir'],
    ['ye', 'yess'],
  ],
  [
    'host names of 253 characters',
    json({ type: 'string', format: 'hostname' }),
    ['"a.b"', `"${[63, 63, 63, 61].map(n => 'a'.repeat(n)).join('.')}"`],
    [`"${[63, 63, 63, 62].map(n => 'a'.repeat(n)).join('.')}"`, `"${'a'.repeat(64)}"`, '"-a"'],
  ],
  [
    'gbnf',
    gbnf('root ::= expr\nexpr ::= term (("+" | "-") term)* # c\nterm ::= [0-9]+ | "(" expr ")"\n'),
    ['1+2', '(1-2)+34'],
    ['1+', '()'],
  ],
  [
    'gbnf with alternatives on lines of their own, left recursion and counts',
    gbnf('root ::= item\n  | root "," item\nitem ::= [a-z]{2,3}'),
    ['ab,cde', 'xy'],
    ['a', 'ab,'],
  ],
  ['gbnf escapes', gbnf('root ::= "\\"\\x41\\n" [^\\]\\\\] .'), ['"A\nxy'], ['"A\n]y']],
  [
    'lark',
    lark(
      'start: expr\n?expr: term | expr "+" term -> add\nterm: NUMBER | "(" expr ")"\n%import common.NUMBER\n%import common.WS\n%ignore WS\n',
    ),
    ['1 + 2', ' (1.5+ 2)+3 '],
    ['1 +', '1 2'],
  ],
  [
    'lark without case, and counts',
    lark('start: "SELECT"i WORD ("," WORD)~0..2\nWORD: /[a-z]+/\n%ignore " "'),
    ['select a, b', 'SELECT xyz'],
    ['select', 'select a,b,c,d'],
  ],
  ['lark options and ranges', lark('start: ["-"] "0".."9"+ // digits\n'), ['-12', '3'], ['-', 'a']],
  [
    'any object',
    { type: 'json_object' },
    ['{}', '{"a": [1, 2.5e3, null, {"b":true}]}'],
    ['[]', '{"a": 01}', '{ }', '{"a":  1}'],
  ],
  [
    'numbers between ends',
    json({ type: 'number', minimum: 0.25, maximum: 2.5 }),
    ['0.25', '0.3', '1', '2.5', '2.50', '2.499'],
    ['0.24', '2.51', '3', '0', '2.500001', '00.3', '1.'],
  ],
  [
    'numbers inside open ends',
    json({ type: 'number', exclusiveMinimum: -1.5, exclusiveMaximum: 1 }),
    ['-1.4', '-1', '0', '0.99', '-0.5', '-1.49'],
    ['-1.5', '1', '1.0', '-1.50', '-2'],
  ],
  [
    'draft 4 ends',
    json({ type: 'integer', minimum: 3, exclusiveMinimum: true, maximum: 5 }),
    ['4', '5'],
    ['3', '6'],
  ],
  [
    'integers',
    json({ type: 'integer', minimum: -15, maximum: 120 }),
    ['-15', '0', '120', '99', '-1'],
    ['-16', '121', '1000', '-0', '1.0'],
  ],
  [
    'multiples',
    json({ type: 'integer', multipleOf: 7, minimum: 10, maximum: 1000 }),
    ['14', '994', '70'],
    ['7', '1001', '15'],
  ],
  ['cents', json({ type: 'number', multipleOf: 0.01, minimum: 0 }), ['0.07', '3'], ['0.075', '-1']],
  [
    'cents between ends that are none',
    json({ type: 'number', multipleOf: 0.01, minimum: 0.005, exclusiveMaximum: 1.239 }),
    ['0.01', '1.23', '1'],
    ['0.005', '0', '1.24', '1.239'],
  ],
  [
    'a pattern with a length',
    json({ type: 'string', pattern: '^a+b', maxLength: 4 }),
    ['"ab"', '"aab\\""'],
    ['"aaaab"', '"b"', '"aab"x"'],
  ],
  [
    'other properties never take a declared name',
    json({ type: 'object', properties: { ab: { type: 'null' } }, additionalProperties: true }),
    ['{"ab": null, "a": 1, "abc": 2}', '{"x": []}'],
    ['{"ab": 1}', '{"x": 1, "ab": null}'],
  ],
  [
    'numbers of properties',
    json({
      type: 'object',
      properties: { a: true, b: true, c: true },
      minProperties: 2,
      maxProperties: 2,
    }),
    ['{"a": 1, "c": 1}'],
    ['{"a": 1}', '{"a": 1, "b": 1, "c": 1}'],
  ],
  [
    'alternatives that a constant tells apart',
    json({
      oneOf: ['x', 'y'].map(kind => ({
        type: 'object',
        properties: { kind: { const: kind }, [kind]: { type: 'integer' } },
        required: ['kind', kind],
      })),
    }),
    ['{"kind": "x", "x": 1}'],
    ['{"kind": "x", "y": 1}'],
  ],
  [
    'joined schemas',
    json({
      $defs: {
        base: {
          type: 'object',
          properties: { a: { type: 'integer', minimum: 1 } },
          required: ['a'],
        },
      },
      allOf: [{ $ref: '#/$defs/base' }, { properties: { a: { maximum: 3 }, b: { type: 'null' } } }],
    }),
    ['{"a": 2, "b": null}', '{"a": 3}'],
    ['{"a": 4}', '{"a": 0}', '{"b": null}'],
  ],
  [
    'leap days',
    json({ type: 'string', format: 'date' }),
    ['"2024-02-29"'],
    ['"2023-02-29"', '"2024-04-31"'],
  ],
]

const refused: [name: string, grammar: Grammar, problem: RegExp][] = [
  ['an unclosed group', regex('(a'), /unclosed group/],
  ['look-ahead', regex('(?=a)'), /look-around/],
  ['a back reference', regex('(a)\\1'), /back references/],
  ['a rule that is missing', gbnf('root ::= x'), /"x" is not defined/],
  [
    'rules that are left-recursive through others',
    gbnf('root ::= a\na ::= b "x"\nb ::= a | "y"'),
    /left-recursive/,
  ],
  ['a syntax error', gbnf('root ::= "a" )'), /line 1, column 14/],
  ['a template', lark('start: a{b}'), /templates/],
  ['unique items', json({ type: 'array', uniqueItems: true }), /#\/uniqueItems cannot be enforced/],
  ['negation', json({ not: { type: 'string' } }), /#\/not cannot be enforced/],
  ['a reference to nothing', json({ $ref: '#/$defs/x' }), /names nothing/],
  ['an unknown type', json({ type: 'strin' }), /#\/type is "strin"/],
  [
    'alternatives that overlap',
    json({ oneOf: [{ type: 'integer' }, { type: 'number' }] }),
    /#\/oneOf/,
  ],
  [
    'a schema without a valid value',
    json({ type: 'object', required: ['a'], additionalProperties: false }),
    /no text/,
  ],
  ['a reference to itself', json({ $ref: '#' }), /refers to itself/],
  [
    'an endless value',
    json({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }),
    /no text/,
  ],
  ['a bad pattern', json({ type: 'string', pattern: '(' }), /#\/pattern/],
]

describe('grammars', () => {
  it.each(cases)('match: %s', (_name, grammar, yes, no) => {
    const graph = compile(grammar)
    expect(yes.filter(text => !matches(graph, text))).toEqual([])
    expect(no.filter(text => matches(graph, text))).toEqual([])
  })

  it.each(refused)('are refused: %s', (_name, grammar, problem) => {
    expect(() => compile(grammar)).toThrow(GrammarError)
    expect(() => compile(grammar)).toThrow(problem)
  })
})
