import { choice, type Expr, never, optional, repeat, rule, seq } from '../expr.ts'
import type { RuleScope } from './strings.ts'

export interface Member {
  /** With its name. */
  expr: Expr
  isRequired: boolean
}

/**
 * The members of an object in order, each in or out if it may be, then others. Rules (i, isFirst, number so far), so that the
 * choices do not multiply.
 */
export function objectMembers(
  members: readonly Member[],
  extra: Expr | undefined,
  { least, most }: { least: number; most: number },
  scope: RuleScope,
): Expr {
  const { comma } = scope.syntax
  const numRequired = members.filter(m => m.isRequired).length
  const counts =
    least > numRequired || most < members.length || (extra !== undefined && most < Infinity)
  const made = new Map<string, Expr>()
  const requiredFrom = members.map((_, i) => members.slice(i).filter(m => m.isRequired).length)
  const from = (i: number, isFirst: boolean, count: number): Expr => {
    if (counts && count + (requiredFrom[i] ?? 0) > most) return never
    const key = `${i} ${isFirst} ${counts ? count : ''}`
    const known = made.get(key)
    if (known !== undefined) return known
    const name = `${scope.name} ${made.size}`
    made.set(key, rule(name))
    const member = members[i]
    if (member === undefined) {
      scope.define(name, extras(extra, isFirst, Math.max(0, least - count), most - count, comma))
    } else {
      const taken = seq(...(isFirst ? [] : [comma]), member.expr, from(i + 1, false, count + 1))
      scope.define(name, member.isRequired ? taken : choice(taken, from(i + 1, isFirst, count)))
    }
    return rule(name)
  }
  return from(0, true, 0)
}

function extras(
  extra: Expr | undefined,
  isFirst: boolean,
  least: number,
  most: number,
  comma: Expr,
): Expr {
  if (extra === undefined || most <= 0) return least > 0 ? never : seq()
  if (!isFirst) return repeat(seq(comma, extra), least, most)
  const all = seq(extra, repeat(seq(comma, extra), Math.max(0, least - 1), most - 1))
  return least > 0 ? all : optional(all)
}
