import { type Expr, seq, text } from './expr.ts'

/** Ids of control tokens by their texts, which no other token spells. */
export type ControlTokens = ReadonlyMap<string, number>

/** A fixed text of a model's format, its control tokens as the tokens they are. */
export function markup(value: string, controls: ControlTokens): Expr {
  const parts: Expr[] = []
  let rest = value
  while (rest !== '') {
    const found = [...controls.keys()]
      .map(name => ({ name, at: rest.indexOf(name) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at || b.name.length - a.name.length)[0]
    const id = found === undefined ? undefined : controls.get(found.name)
    if (found === undefined || id === undefined) {
      parts.push(text(rest))
      break
    }
    if (found.at > 0) parts.push(text(rest.slice(0, found.at)))
    parts.push({ kind: 'token', id })
    rest = rest.slice(found.at + found.name.length)
  }
  return seq(...parts)
}
