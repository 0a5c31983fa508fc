import {
  type CodePoints,
  charClass,
  choice,
  complement,
  type Expr,
  intersection,
  repeat,
  seq,
  text,
  union,
} from '../expr.ts'
import { parseRegex } from '../regexSyntax.ts'
import { intersectRegular } from '../regularLanguage.ts'
import { formatPatterns } from './formats.ts'

/** Code points that JSON cannot hold as they are. */
const unwritable: CodePoints = union([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
])
const writable = complement(unwritable)
const shortEscapes: Record<number, string> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
}
const hexDigit = charClass(
  union([
    [0x30, 0x39],
    [0x41, 0x46],
    [0x61, 0x66],
  ]),
)

/** One character of a string, written in any way; never half of a surrogate pair, which would be no character. */
export const anyChar: Expr = choice(
  charClass(writable),
  seq(
    text('\\'),
    choice(
      charClass(union(Array.from('"\\/bfnrt', c => [c.charCodeAt(0), c.charCodeAt(0)] as const))),
      seq(
        text('u'),
        choice(
          seq(
            charClass(
              union([
                [0x30, 0x39],
                [0x41, 0x43],
                [0x45, 0x46],
                [0x61, 0x63],
                [0x65, 0x66],
              ]),
            ),
            repeat(hexDigit, 3, 3),
          ),
          seq(
            charClass([
              [0x44, 0x44],
              [0x64, 0x64],
            ]),
            charClass([[0x30, 0x37]]),
            repeat(hexDigit, 2, 2),
          ),
        ),
      ),
    ),
  ),
)

/** Characters that need no escape: names of properties are written so, that two of them differ if their texts do. */
const plainChar = charClass(writable)

export interface StringRules {
  patterns?: readonly string[]
  format?: string
  minLength?: number
  maxLength?: number
}

/** What a caller gives to name rules that are too long to be written in place. */
export interface RuleScope {
  define: (name: string, expr: Expr) => void
  name: string
}

/** A JSON string with its quotes. An unknown format says nothing, as JSON Schema has it. */
export function jsonString(rules: StringRules, scope: RuleScope): Expr {
  const { patterns = [], format, minLength = 0, maxLength = Infinity } = rules
  const conditions = patterns.map(pattern => parseRegex(pattern, 'search'))
  const formatPattern = format === undefined ? undefined : formatPatterns[format]
  if (formatPattern !== undefined) conditions.push(parseRegex(formatPattern, 'whole'))
  if (conditions.length === 0) return quoted(repeat(anyChar, minLength, maxLength))
  const [only] = conditions
  if (conditions.length === 1 && only !== undefined) {
    const [least, most] = lengths(only)
    if (least >= minLength && most <= maxLength) return quoted(spelled(only))
  }
  const body = intersectRegular(
    conditions.map(expr => ({ expr })),
    { min: minLength, max: maxLength },
    spellPoints,
    scope.define,
    scope.name,
  )
  return quoted(body)
}

/** The name of a property, with its quotes: one that fulfils `rules` and is none of `others`, nor matches their patterns. */
export function jsonKey(
  rules: StringRules,
  others: { names: readonly string[]; patterns: readonly string[] },
  scope: RuleScope,
): Expr {
  const { patterns = [], format, minLength = 0, maxLength = Infinity } = rules
  const formatPattern = format === undefined ? undefined : formatPatterns[format]
  const conditions = [
    ...patterns.map(pattern => ({ expr: parseRegex(pattern, 'search') })),
    ...(formatPattern === undefined ? [] : [{ expr: parseRegex(formatPattern, 'whole') }]),
    ...others.patterns.map(pattern => ({ expr: parseRegex(pattern, 'search'), negated: true })),
    ...(others.names.length === 0
      ? []
      : [{ expr: choice(...others.names.map(text)), negated: true }]),
  ]
  if (conditions.length === 0) return quoted(repeat(plainChar, minLength, maxLength))
  const body = intersectRegular(
    conditions,
    { min: minLength, max: maxLength },
    points => charClass(intersection(points, writable)),
    scope.define,
    scope.name,
  )
  return quoted(body)
}

function quoted(body: Expr): Expr {
  return seq(text('"'), body, text('"'))
}

/** The class as JSON writes it inside a string: as it is where it can be, else as an escape. */
function spellPoints(points: CodePoints): Expr {
  const ways: Expr[] = [charClass(intersection(points, writable))]
  for (const [low, high] of intersection(points, unwritable)) {
    for (let p = low; p <= high; p++) {
      ways.push(text(shortEscapes[p] ?? `\\u${p.toString(16).padStart(4, '0')}`))
    }
  }
  return choice(...ways)
}

function spelled(expr: Expr): Expr {
  switch (expr.kind) {
    case 'text':
      return text(JSON.stringify(expr.text).slice(1, -1))
    case 'class':
      return spellPoints(expr.points)
    case 'seq':
      return { kind: 'seq', items: expr.items.map(spelled) }
    case 'choice':
      return { kind: 'choice', items: expr.items.map(spelled) }
    case 'repeat':
      return repeat(spelled(expr.item), expr.min, expr.max)
    default:
      return expr
  }
}

/** Fewest and most code points of what a regular expression matches. */
function lengths(expr: Expr): [number, number] {
  switch (expr.kind) {
    case 'text':
      return [Array.from(expr.text).length, Array.from(expr.text).length]
    case 'seq': {
      const parts = expr.items.map(lengths)
      return [parts.reduce((n, [a]) => n + a, 0), parts.reduce((n, [, b]) => n + b, 0)]
    }
    case 'choice': {
      const parts = expr.items.map(lengths)
      return [Math.min(...parts.map(([a]) => a)), Math.max(...parts.map(([, b]) => b))]
    }
    case 'repeat': {
      const [least, most] = lengths(expr.item)
      return [least * expr.min, most === 0 ? 0 : most * expr.max]
    }
    default:
      return [1, 1]
  }
}
