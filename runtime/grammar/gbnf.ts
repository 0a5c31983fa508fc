import {
  charClass,
  choice,
  complement,
  type Expr,
  type GrammarRules,
  repeat,
  rule,
  seq,
  text,
  union,
} from './expr.ts'
import { withoutLeftRecursion } from './leftRecursion.ts'
import { anyPoint } from './regexSyntax.ts'
import { TextCursor } from './textCursor.ts'

/**
 * Reads a grammar in llama.cpp's notation; the rule is `root`.
 * @throws GrammarError that says where
 * Source: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
 */
export function parseGbnf(source: string): GrammarRules {
  const rules = new GbnfParser(source).parse()
  return withoutLeftRecursion({ root: 'root', rules })
}

class GbnfParser {
  readonly #cursor: TextCursor

  constructor(source: string) {
    this.#cursor = new TextCursor(source, 'GBNF')
  }

  parse(): Map<string, Expr> {
    const cursor = this.#cursor
    const rules = new Map<string, Expr>()
    for (this.#skip(true); !cursor.isAtEnd; this.#skip(true)) {
      const name = cursor.match(/[a-zA-Z0-9_-]+/y)?.[0]
      if (name === undefined) throw cursor.error('should have the name of a rule here')
      this.#skip(false)
      if (!cursor.take('::=')) throw cursor.error('should have "::=" here')
      if (rules.has(name)) throw cursor.error(`defines the rule "${name}" twice`)
      this.#skip(true)
      rules.set(name, this.#alternatives(false))
      if (!cursor.isAtEnd && !cursor.sees('\n') && !cursor.sees('\r')) {
        throw cursor.error(`does not go on with "${cursor.char}"`)
      }
    }
    return rules
  }

  #alternatives(isNested: boolean): Expr {
    const ways = [this.#sequence(isNested)]
    while (this.#takeBar(isNested)) {
      this.#skip(true)
      ways.push(this.#sequence(isNested))
    }
    return choice(...ways)
  }

  /** An alternative may begin on a line of its own. */
  #takeBar(isNested: boolean): boolean {
    const from = this.#cursor.at
    this.#skip(true)
    if (this.#cursor.take('|')) return true
    if (!isNested) this.#cursor.at = from
    return false
  }

  #sequence(isNested: boolean): Expr {
    const items: Expr[] = []
    for (;;) {
      this.#skip(isNested)
      const item = this.#item()
      if (item === undefined) return seq(...items)
      items.push(this.#repeated(item))
    }
  }

  #item(): Expr | undefined {
    const cursor = this.#cursor
    if (cursor.take('"')) {
      let value = ''
      while (!cursor.take('"')) value += cursor.take('\\') ? cursor.escape() : cursor.next()
      return text(value)
    }
    if (cursor.take('[')) return this.#class()
    if (cursor.take('.')) return charClass(anyPoint)
    if (cursor.take('(')) {
      const inner = this.#alternatives(true)
      this.#skip(true)
      if (!cursor.take(')')) throw cursor.error('should have ")" here')
      return inner
    }
    if (cursor.sees('<') || cursor.sees('!'))
      throw cursor.error('names tokens, which is not supported')
    const name = cursor.match(/[a-zA-Z0-9_-]+/y)?.[0]
    return name === undefined ? undefined : rule(name)
  }

  #class(): Expr {
    const cursor = this.#cursor
    const isNegated = cursor.take('^')
    const ranges: [number, number][] = []
    const point = () => (cursor.take('\\') ? cursor.escape() : cursor.next()).codePointAt(0) ?? 0
    while (!cursor.take(']')) {
      const low = point()
      const isRange = cursor.sees('-') && !cursor.sees('-]')
      if (isRange) cursor.next()
      ranges.push([low, isRange ? point() : low])
    }
    const points = union(ranges)
    return charClass(isNegated ? complement(points) : points)
  }

  #repeated(item: Expr): Expr {
    const cursor = this.#cursor
    if (cursor.take('*')) return repeat(item, 0)
    if (cursor.take('+')) return repeat(item, 1)
    if (cursor.take('?')) return repeat(item, 0, 1)
    const counts = cursor.match(/\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}/y)
    if (counts === undefined) return item
    const min = Number(counts[1])
    const max = counts[2] === '' ? min : counts[3] === '' ? Infinity : Number(counts[3])
    if (max < min) throw cursor.error(`repeats from ${min} to ${max} times`)
    return repeat(item, min, max)
  }

  #skip(newlines: boolean): void {
    this.#cursor.match(newlines ? /(?:\s|#[^\n]*)*/y : /(?:[ \t]|#[^\n]*)*/y)
  }
}
