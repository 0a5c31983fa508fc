import { charClass, choice, type Expr, intersection, repeat, seq, text } from '../expr.ts'
import { parseRegex } from '../regexSyntax.ts'
import { intersectRegular } from '../regularLanguage.ts'
import { formatPatterns } from './formats.ts'
import { patternOf } from './mergeSchemas.ts'
import { numberOf, type SchemaObject, stringsOf } from './schemaTypes.ts'
import type { ValueSyntax } from './syntax.ts'

export interface StringRules {
  patterns?: readonly string[]
  format?: string
  minLength?: number
  maxLength?: number
}

/** What a caller gives: how to write, and a name for rules that are too long to be written in place. */
export interface RuleScope {
  syntax: ValueSyntax
  define: (name: string, expr: Expr) => void
  name: string
}

/** A string with its quotes. An unknown format says nothing, as JSON Schema has it. */
export function jsonString(rules: StringRules, scope: RuleScope): Expr {
  const { patterns = [], format, minLength = 0, maxLength = Infinity } = rules
  const conditions = patterns.map(pattern => parseRegex(pattern, 'search'))
  const formatPattern = format === undefined ? undefined : formatPatterns[format]
  if (formatPattern !== undefined) conditions.push(parseRegex(formatPattern, 'whole'))
  const { syntax } = scope
  if (conditions.length === 0) return quoted(repeat(syntax.char, minLength, maxLength), syntax)
  const [only] = conditions
  if (conditions.length === 1 && only !== undefined) {
    const [least, most] = lengths(only)
    if (least >= minLength && most <= maxLength) return quoted(spelled(only, syntax), syntax)
  }
  const body = intersectRegular(
    conditions.map(expr => ({ expr })),
    { min: minLength, max: maxLength },
    syntax.spell,
    scope.define,
    scope.name,
  )
  return quoted(body, syntax)
}

/** The name of a property, with its quotes: one that fulfils `rules` and is none of `others`, nor matches their patterns. */
export function jsonKey(
  rules: StringRules,
  others: { names: readonly string[]; patterns: readonly string[] },
  scope: RuleScope,
): Expr {
  const { patterns = [], format, maxLength = Infinity } = rules
  const minLength = Math.max(rules.minLength ?? 0, scope.syntax.minKeyLength)
  const formatPattern = format === undefined ? undefined : formatPatterns[format]
  const conditions = [
    ...patterns.map(pattern => ({ expr: parseRegex(pattern, 'search') })),
    ...(formatPattern === undefined ? [] : [{ expr: parseRegex(formatPattern, 'whole') }]),
    ...others.patterns.map(pattern => ({ expr: parseRegex(pattern, 'search'), negated: true })),
    ...(others.names.length === 0
      ? []
      : [{ expr: choice(...others.names.map(text)), negated: true }]),
  ]
  const { syntax } = scope
  const named = (body: Expr) => seq(syntax.keyQuote, body, syntax.keyQuote)
  if (conditions.length === 0) {
    return named(repeat(charClass(syntax.keyPoints), minLength, maxLength))
  }
  const body = intersectRegular(
    conditions,
    { min: minLength, max: maxLength },
    points => charClass(intersection(points, syntax.keyPoints)),
    scope.define,
    scope.name,
  )
  return named(body)
}

function quoted(body: Expr, { quote }: ValueSyntax): Expr {
  return seq(quote, body, quote)
}

/** A text as it is written in a string. */
export function spelled(expr: Expr, syntax: ValueSyntax): Expr {
  switch (expr.kind) {
    case 'text':
      return seq(
        ...Array.from(expr.text, char => {
          const point = char.codePointAt(0) ?? 0
          return syntax.spell([[point, point]])
        }),
      )
    case 'class':
      return syntax.spell(expr.points)
    case 'seq':
      return { kind: 'seq', items: expr.items.map(item => spelled(item, syntax)) }
    case 'choice':
      return { kind: 'choice', items: expr.items.map(item => spelled(item, syntax)) }
    case 'repeat':
      return repeat(spelled(expr.item, syntax), expr.min, expr.max)
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

/** What a schema of strings asks for. @param path for errors */
export function stringRules(schema: SchemaObject, path: string): StringRules {
  const minLength = numberOf(schema, 'minLength', path)
  const maxLength = numberOf(schema, 'maxLength', path)
  for (const pattern of stringsOf(schema.pattern, `${path}/pattern`))
    patternOf(pattern, `${path}/pattern`)
  return {
    patterns: stringsOf(schema.pattern, `${path}/pattern`),
    ...(typeof schema.format === 'string' && { format: schema.format }),
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
  }
}
