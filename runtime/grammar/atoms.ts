import type { Expr } from './expr.ts'

/** What an expression reads one after the other: single characters, and whatever is more than that as it is. */
export function atomsOf(expr: Expr): Expr[] {
  if (expr.kind === 'text') return Array.from(expr.text, char => ({ kind: 'text', text: char }))
  return expr.kind === 'seq' ? expr.items.flatMap(atomsOf) : [expr]
}

/** Names atoms so that those of one name read the same. Those of two names may, too: nobody compares what is in a choice. */
export class AtomNames {
  readonly #others = new Map<Expr, number>()

  of(atom: Expr): string {
    switch (atom.kind) {
      case 'text':
        return `=${atom.text}`
      case 'class': {
        const [[low, high] = [0, 1], ...more] = atom.points
        const isChar = low === high && more.length === 0
        return isChar ? `=${String.fromCodePoint(low)}` : `[${atom.points.join()}`
      }
      case 'rule':
        return `<${atom.name}`
      case 'token':
        return `#${atom.id}`
      default: {
        const index = this.#others.get(atom) ?? this.#others.size
        this.#others.set(atom, index)
        return `@${index}`
      }
    }
  }
}
