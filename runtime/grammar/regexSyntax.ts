import {
  type CodePoints,
  charClass,
  choice,
  complement,
  type Expr,
  empty,
  GrammarError,
  lastCodePoint,
  repeat,
  seq,
  union,
} from './expr.ts'

/** Any code point. */
export const anyPoint: CodePoints = [[0, lastCodePoint]]
const lineEnds: CodePoints = union([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
])
const escapes: Record<string, CodePoints> = {
  d: [[0x30, 0x39]],
  w: union([
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x5f, 0x5f],
    [0x61, 0x7a],
  ]),
  // White space and line ends of ECMAScript.
  s: union([
    [0x09, 0x0d],
    [0x20, 0x20],
    [0xa0, 0xa0],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ]),
}
const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0, a: 7, e: 27 }
/** A count above this in one repetition is refused. */
const maxCount = 100_000

type Node = Expr | { kind: 'start' } | { kind: 'end' } | { kind: 'anchored'; ways: Way[] }

/** A text, and whether it must stand at the start or the end of the whole. */
interface Way {
  start: boolean
  end: boolean
  body: Expr
}

/**
 * Reads a regular expression: ECMAScript's syntax with the `u` flag, and Python's names of groups.
 * @param mode `whole`: it matches the whole text; `search`: it matches somewhere in it
 * @throws GrammarError for a syntax error, and for what is not regular (look-around, back references, word boundaries)
 */
export function parseRegex(pattern: string, mode: 'whole' | 'search'): Expr {
  const ways = new RegexParser(pattern).parse()
  const anything = repeat(charClass(anyPoint), 0)
  return choice(
    ...ways.map(({ start, end, body }) => {
      if (mode === 'whole') return body
      return seq(...(start ? [] : [anything]), body, ...(end ? [] : [anything]))
    }),
  )
}

class RegexParser {
  readonly #chars: string[]
  readonly #pattern: string
  #at = 0

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#chars = Array.from(pattern)
  }

  parse(): Way[] {
    const ways = this.#alternatives()
    if (this.#at < this.#chars.length) throw this.#error(`unmatched "${this.#chars[this.#at]}"`)
    return ways
  }

  #alternatives(): Way[] {
    const ways = this.#sequence()
    while (this.#take('|')) ways.push(...this.#sequence())
    return ways
  }

  #sequence(): Way[] {
    let ways: Way[] = [{ start: false, end: false, body: empty }]
    while (this.#at < this.#chars.length && !this.#sees('|') && !this.#sees(')')) {
      const next = waysOf(this.#repeated())
      if (ways.length * next.length > 64) throw this.#error('has too many anchored alternatives')
      ways = ways.flatMap(a => next.flatMap(b => follow(a, b)))
    }
    return ways
  }

  #repeated(): Node {
    let node = this.#atom()
    for (;;) {
      const counts = this.#counts()
      if (counts === undefined) return node
      // Which of several matches is taken makes no difference to the set of texts.
      if (!this.#take('?')) this.#take('+')
      if (isAnchor(node)) throw this.#error('repeats an anchor')
      node = repeat(node, counts[0], counts[1])
    }
  }

  #counts(): [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    if (!this.#sees('{')) return undefined
    const rest = this.#chars.slice(this.#at, this.#at + 20).join('')
    const found = /^\{(\d*)(,?)(\d*)\}/.exec(rest)
    if (found === null || (found[1] === '' && found[3] === '')) return undefined
    this.#at += found[0].length
    const min = Number(found[1] || 0)
    const max = found[2] === '' ? min : found[3] === '' ? Infinity : Number(found[3])
    if (min > max) throw this.#error(`repeats ${found[0]}, which is out of order`)
    if (min > maxCount || (max > maxCount && max < Infinity)) {
      throw this.#error(`repeats ${found[0]}, more than ${maxCount} times`)
    }
    return [min, max]
  }

  #atom(): Node {
    const char = this.#next()
    switch (char) {
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return charClass(complement(lineEnds))
      case '(':
        return this.#group()
      case '[':
        return charClass(this.#class())
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw this.#error(`has nothing to repeat before "${char}"`)
    }
    return { kind: 'text', text: char }
  }

  #group(): Node {
    if (this.#take('?')) {
      const isNamed = this.#take('P') || this.#sees('<')
      if (isNamed && this.#take('<') && !this.#sees('=') && !this.#sees('!')) {
        while (this.#next() !== '>') {}
      } else if (!this.#take(':')) {
        throw this.#error('uses look-around or flags, which are not supported')
      }
    }
    const ways = this.#alternatives()
    if (!this.#take(')')) throw this.#error('has an unclosed group')
    if (ways.some(way => way.start || way.end)) return { kind: 'anchored', ways }
    return choice(...ways.map(way => way.body))
  }

  #escape(): Node {
    const char = this.#next()
    if (char === 'b' || char === 'B') throw this.#error('uses \\b, which is not supported')
    if (char === 'A') return { kind: 'start' }
    if (char === 'z' || char === 'Z') return { kind: 'end' }
    if (/[1-9k]/.test(char)) throw this.#error('uses back references, which are not supported')
    return charClass(this.#escaped(char))
  }

  /** Code points of what follows a backslash. */
  #escaped(char: string): CodePoints {
    const named = escapes[char.toLowerCase()]
    if (named !== undefined) return char === char.toLowerCase() ? named : complement(named)
    if (char === 'p' || char === 'P') return this.#property(char === 'P')
    if (char === 'x') return point(this.#hex(2))
    if (char === 'u') return point(this.#unicode())
    if (char === 'c') return point((this.#next().codePointAt(0) ?? 0) % 32)
    return point(controls[char] ?? char.codePointAt(0) ?? 0)
  }

  #unicode(): number {
    if (this.#take('{')) {
      let digits = ''
      while (!this.#take('}')) digits += this.#next()
      return Number.parseInt(digits, 16)
    }
    const high = this.#hex(4)
    const isPair = high >= 0xd800 && high < 0xdc00 && this.#take('\\') && this.#take('u')
    return isPair ? 0x10000 + ((high - 0xd800) << 10) + (this.#hex(4) - 0xdc00) : high
  }

  #hex(length: number): number {
    let digits = ''
    for (let i = 0; i < length; i++) digits += this.#next()
    if (!/^[0-9a-fA-F]+$/.test(digits)) throw this.#error(`has a bad escape "${digits}"`)
    return Number.parseInt(digits, 16)
  }

  #property(isNegated: boolean): CodePoints {
    let name = this.#next()
    if (name === '{') {
      name = ''
      for (let c = this.#next(); c !== '}'; c = this.#next()) name += c
    }
    let points = properties.get(name)
    if (points === undefined) {
      try {
        points = propertyPoints(new RegExp(`\\p{${name}}`, 'u'))
      } catch {
        throw this.#error(`names an unknown property "${name}"`)
      }
      properties.set(name, points)
    }
    return isNegated ? complement(points) : points
  }

  #class(): CodePoints {
    const isNegated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    for (let isFirst = true; isFirst || !this.#sees(']'); isFirst = false) {
      if (isFirst && this.#sees(']')) break
      const low = this.#classItem()
      const lowest = low[0]?.[0] ?? 0
      const isRange = this.#sees('-') && this.#chars[this.#at + 1] !== ']' && isOnePoint(low)
      if (!isRange) {
        ranges.push(...low)
        continue
      }
      this.#at++
      const high = this.#classItem()
      const highest = high[0]?.[0] ?? 0
      if (!isOnePoint(high) || highest < lowest) throw this.#error('has a class out of order')
      ranges.push([lowest, highest])
    }
    this.#at++
    const points = union(ranges)
    return isNegated ? complement(points) : points
  }

  #classItem(): CodePoints {
    const char = this.#next()
    if (char !== '\\') return point(char.codePointAt(0) ?? 0)
    const escaped = this.#next()
    return escaped === 'b' ? point(8) : this.#escaped(escaped)
  }

  #sees(char: string): boolean {
    return this.#chars[this.#at] === char
  }

  #take(char: string): boolean {
    if (!this.#sees(char)) return false
    this.#at++
    return true
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw this.#error('ends too early')
    return char
  }

  #error(problem: string): GrammarError {
    return new GrammarError(`the regular expression ${JSON.stringify(this.#pattern)} ${problem}`)
  }
}

function isAnchor(node: Node): node is Exclude<Node, Expr> {
  return node.kind === 'start' || node.kind === 'end' || node.kind === 'anchored'
}

function waysOf(node: Node): Way[] {
  if (node.kind === 'start') return [{ start: true, end: false, body: empty }]
  if (node.kind === 'end') return [{ start: false, end: true, body: empty }]
  if (node.kind === 'anchored') return node.ways
  return [{ start: false, end: false, body: node }]
}

/** One after the other: what would have to stand before the start or after the end can stand nowhere. */
function follow(a: Way, b: Way): Way[] {
  const isPossible = (!a.end || isEmpty(b.body)) && (!b.start || isEmpty(a.body))
  const body = isEmpty(a.body) ? b.body : isEmpty(b.body) ? a.body : seq(a.body, b.body)
  return isPossible ? [{ start: a.start || b.start, end: a.end || b.end, body }] : []
}

function isEmpty(expr: Expr): boolean {
  return expr === empty || (expr.kind === 'seq' && expr.items.length === 0)
}

function isOnePoint(points: CodePoints): boolean {
  const [only] = points
  return points.length === 1 && only !== undefined && only[0] === only[1]
}

function point(value: number): CodePoints {
  return [[value, value]]
}

/** Those asked for so far: each takes a look at every code point. */
const properties = new Map<string, CodePoints>()

function propertyPoints(matcher: RegExp): CodePoints {
  const ranges: [number, number][] = []
  for (let p = 0; p <= lastCodePoint; p++) {
    if (p === 0xd800) p = 0xe000
    if (!matcher.test(String.fromCodePoint(p))) continue
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === p - 1) last[1] = p
    else ranges.push([p, p])
  }
  return ranges
}
