import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { type Expr, seq, text } from '../expr.ts'
import { spelled } from './strings.ts'
import type { ValueSyntax } from './syntax.ts'

/** One value, written out. */
export function jsonValue(value: JsonValue, syntax: ValueSyntax): Expr {
  const { comma, colon, key, quote } = syntax
  if (typeof value === 'string') return seq(quote, spelled(text(value), syntax), quote)
  if (Array.isArray(value)) {
    const items = value.map((item, i) => seq(...(i > 0 ? [comma] : []), jsonValue(item, syntax)))
    return seq(text('['), ...items, text(']'))
  }
  if (!isObject(value)) return text(JSON.stringify(value))
  const members = Object.entries(value).map(([name, inner], i) =>
    seq(...(i > 0 ? [comma] : []), key(name), colon, jsonValue(inner, syntax)),
  )
  return seq(text('{'), ...members, text('}'))
}
