import { charClass, choice, complement, type Expr, empty, rule, seq, union } from './expr.ts'
import { type ControlTokens, markup } from './markup.ts'

/** Where rules go that are too long, or recursive, to be written in place. */
export type DefineRule = (name: string, expr: Expr) => void

/** A text that means something where it stands, and what comes after it. */
export interface Mark {
  text: string
  /** Absent: the mark must not appear. */
  next?: Expr
}

/**
 * Any text up to one of some marks, and what follows it.
 * @param canEnd the text may end without one
 * @param controls marks that are control tokens, which other text cannot spell
 * @param define adds a rule
 * Source: the automaton of Aho and Corasick, 1975
 */
export function freeText(
  marks: readonly Mark[],
  canEnd: boolean,
  controls: ControlTokens,
  define: DefineRule,
  name: string,
): Expr {
  const isControl = (mark: Mark) => controls.has(mark.text)
  const patterns = marks
    .filter(mark => !isControl(mark))
    .map(mark => ({ chars: Array.from(mark.text), next: mark.next }))
  const tokens = marks.filter(isControl).flatMap(({ text, next }) => {
    return next === undefined ? [] : seq(markup(text, controls), next)
  })
  const states = new Map<string, string[]>([['', []]])
  for (const { chars } of patterns) {
    for (let n = 1; n < chars.length; n++) states.set(chars.slice(0, n).join(''), chars.slice(0, n))
  }
  const alphabet = new Set(patterns.flatMap(({ chars }) => chars))
  const others = complement(union(Array.from(alphabet, c => onePoint(c))))
  const stateName = (prefix: string) => `${name} ${JSON.stringify(prefix)}`
  for (const [prefix, chars] of states) {
    const ways: Expr[] = canEnd ? [empty] : []
    for (const char of alphabet) {
      const read = [...chars, char]
      const mark = patterns.find(({ chars: whole }) => endsWith(read, whole))
      const after = mark === undefined ? rule(stateName(longestSuffix(read, states))) : mark.next
      if (after !== undefined) ways.push(seq(charClass([onePoint(char)]), after))
    }
    ways.push(seq(charClass(others), rule(stateName(''))), ...tokens)
    define(stateName(prefix), choice(...ways))
  }
  return rule(stateName(''))
}

function onePoint(char: string): readonly [number, number] {
  const point = char.codePointAt(0) ?? 0
  return [point, point]
}

function endsWith(read: readonly string[], whole: readonly string[]): boolean {
  const from = read.length - whole.length
  return from >= 0 && whole.every((char, i) => read[from + i] === char)
}

function longestSuffix(read: readonly string[], states: ReadonlyMap<string, unknown>): string {
  for (let from = 0; from < read.length; from++) {
    const suffix = read.slice(from).join('')
    if (states.has(suffix)) return suffix
  }
  return ''
}
