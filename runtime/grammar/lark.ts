import {
  charClass,
  choice,
  type Expr,
  empty,
  type GrammarRules,
  never,
  optional,
  repeat,
  rule,
  seq,
  text,
  union,
} from './expr.ts'
import { withoutLeftRecursion } from './leftRecursion.ts'
import { parseRegex } from './regexSyntax.ts'
import { TextCursor } from './textCursor.ts'

/** What `%import common.NAME` brings, as regular expressions. Source: lark's grammars/common.lark. */
const common: Readonly<Record<string, string>> = {
  DIGIT: '[0-9]',
  HEXDIGIT: '[0-9a-fA-F]',
  INT: '[0-9]+',
  SIGNED_INT: '[+-]?[0-9]+',
  DECIMAL: '[0-9]+\\.[0-9]*|\\.[0-9]+',
  FLOAT: '[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?',
  SIGNED_FLOAT: '[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)',
  NUMBER: '[0-9]+(\\.[0-9]*)?([eE][+-]?[0-9]+)?|\\.[0-9]+([eE][+-]?[0-9]+)?',
  SIGNED_NUMBER: '[+-]?([0-9]+(\\.[0-9]*)?([eE][+-]?[0-9]+)?|\\.[0-9]+([eE][+-]?[0-9]+)?)',
  ESCAPED_STRING: '"([^"\\\\\\n]|\\\\.)*"',
  LCASE_LETTER: '[a-z]',
  UCASE_LETTER: '[A-Z]',
  LETTER: '[A-Za-z]',
  WORD: '[A-Za-z]+',
  CNAME: '[_A-Za-z][_A-Za-z0-9]*',
  WS_INLINE: '[ \\t]+',
  WS: '[ \\t\\f\\r\\n]+',
  CR: '\\r',
  LF: '\\n',
  NEWLINE: '(\\r?\\n)+',
}

/**
 * Reads a grammar in a subset of Lark's notation; the rule is `start`. There are rules, terminals, strings and regular
 * expressions (flags i and s), ranges, groups, `[x]`, `? * + ~n ~n..m`, `%ignore` and `%import common.X`. Texts
 * are matched character by character: no terminal is preferred for being longer or having a priority.
 * @throws GrammarError that says where, and what is not supported
 * Source: https://lark-parser.readthedocs.io/en/stable/grammar.html
 */
export function parseLark(source: string): GrammarRules {
  return withoutLeftRecursion({ root: 'start', rules: new LarkParser(source).parse() })
}

class LarkParser {
  readonly #cursor: TextCursor
  readonly #rules = new Map<string, Expr>()
  readonly #ignored: Expr[] = []
  /** A terminal is one piece: nothing ignored can stand inside. */
  #isInTerminal = false

  constructor(source: string) {
    this.#cursor = new TextCursor(source, 'Lark')
  }

  parse(): Map<string, Expr> {
    const cursor = this.#cursor
    for (this.#skipLines(); !cursor.isAtEnd; this.#skipLines()) {
      if (cursor.take('%')) this.#directive()
      else this.#definition()
    }
    this.#rules.set(ignored, repeat(choice(...this.#ignored), 0))
    const start = this.#rules.get('start')
    if (start !== undefined)
      this.#rules.set('start', this.#ignored.length > 0 ? seq(rule(ignored), start) : start)
    else throw cursor.error('has no rule "start"')
    return this.#rules
  }

  #definition(): void {
    const cursor = this.#cursor
    const name = cursor.match(/[?!]*([_a-zA-Z][_a-zA-Z0-9]*)/y)?.[1]
    if (name === undefined) throw cursor.error('should have the name of a rule here')
    if (cursor.sees('{')) throw cursor.error('uses templates, which are not supported')
    cursor.match(/\.-?\d+/y)
    this.#skip()
    if (!cursor.take(':')) throw cursor.error('should have ":" here')
    if (this.#rules.has(name)) throw cursor.error(`defines "${name}" twice`)
    this.#isInTerminal = isTerminal(name)
    this.#rules.set(name, this.#alternatives())
    this.#skip()
    if (!cursor.isAtEnd && !cursor.sees('\n') && !cursor.sees('\r')) {
      throw cursor.error(`does not go on with "${cursor.char}"`)
    }
  }

  #directive(): void {
    const cursor = this.#cursor
    const name = cursor.match(/[a-z_]+/y)?.[0]
    this.#skip()
    if (name === 'ignore') {
      this.#isInTerminal = true
      this.#ignored.push(this.#alternatives())
      return
    }
    if (name !== 'import') throw cursor.error(`uses %${name}, which is not supported`)
    const list = cursor.match(
      /common(?:\.([A-Z_]+)(?:[ \t]*->[ \t]*([A-Z_]+))?|[ \t]*\(([A-Z_,\s]+)\))/y,
    )
    if (list === undefined) throw cursor.error('may import from "common" only')
    for (const imported of (list[1] ?? list[3] ?? '').split(',').map(item => item.trim())) {
      const pattern = common[imported]
      if (pattern === undefined)
        throw cursor.error(`imports common.${imported}, which is not known`)
      this.#rules.set(list[2] ?? imported, parseRegex(pattern, 'whole'))
    }
  }

  #alternatives(): Expr {
    const ways = [this.#sequence()]
    while (this.#takeBar()) ways.push(this.#sequence())
    return choice(...ways)
  }

  #takeBar(): boolean {
    const from = this.#cursor.at
    this.#skipLines()
    if (this.#cursor.take('|')) return true
    this.#cursor.at = from
    return false
  }

  #sequence(): Expr {
    const items: Expr[] = []
    for (;;) {
      this.#skip()
      const item = this.#item()
      if (item === undefined) break
      items.push(this.#repeated(item))
    }
    this.#cursor.match(/->[ \t]*[_a-zA-Z][_a-zA-Z0-9]*/y)
    return items.length === 0 ? empty : seq(...items)
  }

  #item(): Expr | undefined {
    const cursor = this.#cursor
    if (cursor.sees('"')) return this.#piece(this.#string())
    if (cursor.sees('/') && !cursor.sees('//')) return this.#piece(this.#regex())
    if (cursor.take('(')) return this.#closed(')')
    if (cursor.take('[')) return optional(this.#closed(']'))
    if (cursor.sees('<') || cursor.sees('@'))
      throw cursor.error('names tokens, which is not supported')
    const name = cursor.match(/[_a-zA-Z][_a-zA-Z0-9]*/y)?.[0]
    if (name === undefined) return undefined
    if (cursor.sees('{')) throw cursor.error('uses templates, which are not supported')
    return isTerminal(name) ? this.#piece(rule(name)) : rule(name)
  }

  /** In a rule, what is ignored may follow every piece. */
  #piece(expr: Expr): Expr {
    return this.#isInTerminal ? expr : seq(expr, rule(ignored))
  }

  #closed(end: string): Expr {
    const inner = this.#alternatives()
    this.#skipLines()
    if (!this.#cursor.take(end)) throw this.#cursor.error(`should have "${end}" here`)
    return inner
  }

  #string(): Expr {
    const cursor = this.#cursor
    const value = this.#quoted()
    if (cursor.take('i')) return withoutCase(text(value))
    if (!cursor.match(/\.\.(?=")/y)) return text(value)
    const [low, high] = [value.codePointAt(0) ?? 0, this.#quoted().codePointAt(0) ?? 0]
    return charClass(union([[low, high]]))
  }

  #quoted(): string {
    const cursor = this.#cursor
    cursor.take('"')
    let value = ''
    while (!cursor.take('"')) value += cursor.take('\\') ? cursor.escape() : cursor.next()
    return value
  }

  #regex(): Expr {
    const cursor = this.#cursor
    cursor.take('/')
    let pattern = ''
    while (!cursor.take('/')) {
      const char = cursor.next()
      pattern += char
      if (char === '\\') pattern += cursor.next()
    }
    const flags = cursor.match(/[a-z]*/y)?.[0] ?? ''
    if (/[^is]/.test(flags))
      throw cursor.error(`uses the flags "${flags}", of which only i and s are supported`)
    const source = flags.includes('s')
      ? pattern.replace(/(\\.|\[(?:\\.|[^\]])*\])|\./g, (_, kept) => kept ?? '[^]')
      : pattern
    const expr = parseRegex(source, 'whole')
    return flags.includes('i') ? withoutCase(expr) : expr
  }

  #repeated(item: Expr): Expr {
    const cursor = this.#cursor
    if (cursor.take('*')) return repeat(item, 0)
    if (cursor.take('+')) return repeat(item, 1)
    if (cursor.take('?')) return repeat(item, 0, 1)
    const counts = cursor.match(/[ \t]*~[ \t]*(\d+)(?:\.\.(\d+))?/y)
    if (counts === undefined) return item
    const min = Number(counts[1])
    const max = Number(counts[2] ?? min)
    if (max < min) throw cursor.error(`repeats from ${min} to ${max} times`)
    return repeat(item, min, max)
  }

  #skip(): void {
    this.#cursor.match(/(?:[ \t]|(?:\/\/|#)[^\n]*)*/y)
  }

  #skipLines(): void {
    this.#cursor.match(/(?:\s|(?:\/\/|#)[^\n]*)*/y)
  }
}

/** The rule of what may stand between pieces; no name a grammar could use. */
const ignored = ' ignored'

function isTerminal(name: string): boolean {
  return /^_*[A-Z]/.test(name)
}

/** Matches upper and lower case alike. */
function withoutCase(expr: Expr): Expr {
  switch (expr.kind) {
    case 'text':
      return seq(
        ...Array.from(expr.text, char => charClass(union(casesOf(char.codePointAt(0) ?? 0)))),
      )
    case 'class': {
      const ranges = expr.points.flatMap(([low, high]) =>
        high - low > 1000
          ? [[low, high] as const]
          : Array.from({ length: high - low + 1 }, (_, i) => casesOf(low + i)).flat(),
      )
      return charClass(union(ranges))
    }
    case 'seq':
      return seq(...expr.items.map(withoutCase))
    case 'choice':
      return expr.items.length === 0 ? never : choice(...expr.items.map(withoutCase))
    case 'repeat':
      return repeat(withoutCase(expr.item), expr.min, expr.max)
    default:
      return expr
  }
}

function casesOf(point: number): (readonly [number, number])[] {
  const char = String.fromCodePoint(point)
  return [char, char.toLowerCase(), char.toUpperCase()]
    .filter(c => Array.from(c).length === 1)
    .map(c => [c.codePointAt(0) ?? 0, c.codePointAt(0) ?? 0] as const)
}
