import { type Expr, never, optional, repeat, seq, text } from '../expr.ts'
import type { Lowering } from './lowering.ts'
import { asSchema, numberOf, type SchemaObject, schemasOf, unenforceable } from './schemaTypes.ts'

/** The arrays that are valid for a schema, as `Lowering.lower`. */
export function arraySchema(
  schema: SchemaObject,
  path: string,
  depth: number,
  lowering: Lowering,
): Expr {
  const { syntax } = lowering
  const min = numberOf(schema, 'minItems', path) ?? 0
  const max = numberOf(schema, 'maxItems', path) ?? Infinity
  if (schema.uniqueItems === true && max > 1) throw unenforceable(`${path}/uniqueItems`)
  const isTuple = Array.isArray(schema.items)
  const first = schemasOf(isTuple ? schema.items : schema.prefixItems, `${path}/prefixItems`)
  const items = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems
  const rest = items === undefined ? true : asSchema(items, `${path}/items`)
  const most = rest === false ? Math.min(max, first.length) : max
  if (min > most) return never
  const item =
    most > first.length ? lowering.asRule(lowering.lower(rest, `${path}/items`, depth + 1)) : never
  const elements = first
    .slice(0, Math.min(most, first.length))
    .map((element, i) => lowering.lower(element, `${path}/prefixItems/${i}`, depth + 1))
  let tail = repeat(
    seq(syntax.comma, item),
    Math.max(0, min - Math.max(1, elements.length)),
    most - Math.max(1, elements.length),
  )
  if (most <= elements.length) tail = seq()
  for (let i = elements.length - 1; i > 0; i--) {
    const more = seq(syntax.comma, elements[i] ?? never, tail)
    tail = i < min ? more : optional(more)
  }
  const all = seq(elements[0] ?? item, tail)
  const body = most === 0 ? seq() : min > 0 ? all : optional(all)
  return seq(text('['), body, text(']'))
}
