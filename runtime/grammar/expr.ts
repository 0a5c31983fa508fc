/** A set of code points: inclusive ranges, sorted and apart from each other. */
export type CodePoints = readonly (readonly [low: number, high: number])[]

/** What every grammar language is lowered to: a context-free grammar over code points and single tokens. */
export type Expr =
  | { kind: 'text'; text: string }
  | { kind: 'class'; points: CodePoints }
  | { kind: 'seq'; items: readonly Expr[] }
  /** One of them; none matches nothing. */
  | { kind: 'choice'; items: readonly Expr[] }
  /** `max` may be Infinity. */
  | { kind: 'repeat'; item: Expr; min: number; max: number }
  | { kind: 'rule'; name: string }
  /** A control token, which no text spells. */
  | { kind: 'token'; id: number }

export interface GrammarRules {
  root: string
  rules: Map<string, Expr>
}

/** The grammar a client sent is wrong, or asks for what cannot be enforced; the message says what and where. */
export class GrammarError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'GrammarError'
  }
}

export const lastCodePoint = 0x10ffff
export const empty: Expr = { kind: 'seq', items: [] }
/** Matches nothing, not even the empty text. */
export const never: Expr = { kind: 'choice', items: [] }

export function text(value: string): Expr {
  return { kind: 'text', text: value }
}

export function seq(...items: Expr[]): Expr {
  const [only] = items
  return items.length === 1 && only !== undefined ? only : { kind: 'seq', items }
}

export function choice(...items: Expr[]): Expr {
  const [only] = items
  return items.length === 1 && only !== undefined ? only : { kind: 'choice', items }
}

export function repeat(item: Expr, min: number, max = Infinity): Expr {
  return { kind: 'repeat', item, min, max }
}

export function optional(item: Expr): Expr {
  return repeat(item, 0, 1)
}

export function rule(name: string): Expr {
  return { kind: 'rule', name }
}

export function charClass(points: CodePoints): Expr {
  return { kind: 'class', points }
}

/** The class of some characters, each written out. */
export function anyOfChars(chars: string): Expr {
  return charClass(union(Array.from(chars, c => pointRange(c.codePointAt(0) ?? 0))))
}

export function digits(from: number, to: number): Expr {
  return charClass([[0x30 + from, 0x30 + to]])
}

function pointRange(point: number): readonly [number, number] {
  return [point, point]
}

/** Sorts ranges and joins those that touch. */
export function union(ranges: Iterable<readonly [number, number]>): CodePoints {
  const sorted = [...ranges].filter(([a, b]) => a <= b).sort((a, b) => a[0] - b[0])
  const joined: [number, number][] = []
  for (const [low, high] of sorted) {
    const last = joined.at(-1)
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high)
    else joined.push([low, high])
  }
  return joined
}

/** All code points that are not in the set. */
export function complement(points: CodePoints): CodePoints {
  const gaps: [number, number][] = []
  let next = 0
  for (const [low, high] of points) {
    if (low > next) gaps.push([next, low - 1])
    next = high + 1
  }
  if (next <= lastCodePoint) gaps.push([next, lastCodePoint])
  return gaps
}

export function intersection(a: CodePoints, b: CodePoints): CodePoints {
  return complement(union([...complement(a), ...complement(b)]))
}
