import { choice, type Expr, type GrammarRules, repeat, seq } from './expr.ts'

/** The same grammar in which no rule begins with itself: A = A b | c becomes A = c b*. */
export function withoutLeftRecursion({ root, rules }: GrammarRules): GrammarRules {
  return { root, rules: new Map([...rules].map(([name, expr]) => [name, rewrite(name, expr)])) }
}

function rewrite(name: string, expr: Expr): Expr {
  const tails: Expr[] = []
  const starts: Expr[] = []
  for (const way of waysOf(expr)) {
    const tail = tailAfter(name, way)
    if (tail === undefined) starts.push(way)
    else tails.push(tail)
  }
  return tails.length === 0 ? expr : seq(choice(...starts), repeat(choice(...tails), 0))
}

function waysOf(expr: Expr): readonly Expr[] {
  return expr.kind === 'choice' ? expr.items.flatMap(waysOf) : [expr]
}

/** What follows the rule's name, when an alternative begins with it. */
function tailAfter(name: string, way: Expr): Expr | undefined {
  if (way.kind !== 'seq') return undefined
  const [first, ...rest] = way.items
  if (first?.kind === 'seq') return tailAfter(name, seq(...first.items, ...rest))
  return first?.kind === 'rule' && first.name === name ? seq(...rest) : undefined
}
