import {
  choice,
  digits,
  type Expr,
  empty,
  never,
  optional,
  repeat,
  rule,
  seq,
  text,
} from '../expr.ts'

/** What bounds a number; absent ends are open. */
export interface NumberRange {
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
}

/** Digits before the point: more than any id or amount has, and far from the infinity that 1e999 would be. */
const maxIntegerDigits = 18
/** Digits after the point where nothing else limits them: a double has no more. */
const maxFractionDigits = 17
const digit = digits(0, 9)
const integerLimit = 10n ** BigInt(maxIntegerDigits) - 1n

export const anyInteger: Expr = seq(
  optional(text('-')),
  choice(text('0'), seq(digits(1, 9), repeat(digit, 0, maxIntegerDigits - 1))),
)

export const anyNumber: Expr = seq(
  anyInteger,
  optional(seq(text('.'), repeat(digit, 1, maxFractionDigits))),
  optional(
    seq(choice(text('e'), text('E')), optional(choice(text('+'), text('-'))), repeat(digit, 1, 2)),
  ),
)

/** Integers in a range, ends included. */
export function integersBetween(low: bigint, high: bigint): Expr {
  const parts: Expr[] = []
  if (low < 0n) parts.push(seq(text('-'), naturals(high < 0n ? -high : 1n, -low)))
  if (high >= 0n) parts.push(naturals(low > 0n ? low : 0n, high))
  return choice(...parts)
}

/** The integer ends of a range; open ones lie beyond any number that is written out. */
export function integerEnds(range: NumberRange): [low: bigint, high: bigint] {
  let low = -integerLimit
  let high = integerLimit
  const raise = (value: bigint) => {
    if (value > low) low = value
  }
  const lower = (value: bigint) => {
    if (value < high) high = value
  }
  if (range.minimum !== undefined) raise(toBigInt(Math.ceil(range.minimum)))
  if (range.exclusiveMinimum !== undefined) raise(toBigInt(Math.floor(range.exclusiveMinimum)) + 1n)
  if (range.maximum !== undefined) lower(toBigInt(Math.floor(range.maximum)))
  if (range.exclusiveMaximum !== undefined) lower(toBigInt(Math.ceil(range.exclusiveMaximum)) - 1n)
  return [low, high]
}

function toBigInt(value: number): bigint {
  if (!Number.isFinite(value)) return value > 0 ? integerLimit * 10n : -integerLimit * 10n
  return BigInt(value)
}

/**
 * Multiples of `step` in a range: digit by digit, with the remainder so far and whether the digits still equal those of an end.
 * @param define adds a rule
 * @returns undefined when that would take too many rules
 */
export function multiplesBetween(
  low: bigint,
  high: bigint,
  step: bigint,
  define: (name: string, expr: Expr) => void,
  name: string,
): Expr | undefined {
  // Beyond 2 ** 53 a reader's arithmetic would no longer find a multiple.
  const exact = BigInt(Number.MAX_SAFE_INTEGER)
  const [from, to] = [low < -exact ? -exact : low, high > exact ? exact : high]
  const parts: Expr[] = []
  let numRules = 0
  const naturalMultiples = (least: bigint, most: bigint, sign: string): void => {
    if (least > most) return
    for (let length = String(least).length; length <= String(most).length; length++) {
      const a = String(least).length === length ? String(least) : `1${'0'.repeat(length - 1)}`
      const b = String(most).length === length ? String(most) : '9'.repeat(length)
      const made = new Set<string>()
      const suffixes = (at: number, remainder: bigint, onLow: boolean, onHigh: boolean): Expr => {
        if (at === length) return remainder === 0n ? empty : never
        const ruleName = `${name} ${sign}${length}:${at}:${remainder}:${onLow}:${onHigh}`
        if (made.has(ruleName)) return rule(ruleName)
        made.add(ruleName)
        if (++numRules > maxMultipleRules) return never
        const ways: Expr[] = []
        const first = onLow ? Number(a[at]) : 0
        const last = onHigh ? Number(b[at]) : 9
        for (let d = first; d <= last; d++) {
          const after = (remainder * 10n + BigInt(d)) % step
          ways.push(
            seq(
              text(String(d)),
              suffixes(at + 1, after, onLow && d === first, onHigh && d === last),
            ),
          )
        }
        define(ruleName, choice(...ways))
        return rule(ruleName)
      }
      parts.push(seq(text(sign), suffixes(0, 0n, true, true)))
    }
  }
  if (from < 0n) naturalMultiples(to < 0n ? -to : 1n, -from, '-')
  if (to >= 0n) naturalMultiples(from > 0n ? from : 0n, to, '')
  return numRules > maxMultipleRules ? undefined : choice(...parts)
}

const maxMultipleRules = 30_000

/**
 * Numbers in a range, written without an exponent.
 * @param fractionDigits most digits after the point; default what a double can tell apart
 */
export function numbersBetween(range: NumberRange, fractionDigits?: number): Expr {
  const low = laterEnd(range.minimum, range.exclusiveMinimum, Math.max)
  const high = laterEnd(range.maximum, range.exclusiveMaximum, Math.min)
  const limit = { value: 1e15, isExclusive: false }
  const [from, to] = [low ?? { ...limit, value: -1e15 }, high ?? limit]
  const zero = { value: 0, isExclusive: true }
  const parts: Expr[] = []
  if (from.value < 0) {
    const least = to.value < 0 ? { ...to, value: -to.value } : zero
    parts.push(seq(text('-'), magnitudes(least, { ...from, value: -from.value }, fractionDigits)))
  }
  if (to.value >= 0) {
    const least = from.value < 0 ? { value: 0, isExclusive: false } : from
    parts.push(magnitudes(least, to, fractionDigits))
  }
  return choice(...parts)
}

interface End {
  value: number
  isExclusive: boolean
}

function laterEnd(
  inclusive: number | undefined,
  exclusive: number | undefined,
  pick: (a: number, b: number) => number,
): End | undefined {
  if (inclusive === undefined && exclusive === undefined) return undefined
  const value = pick(inclusive ?? exclusive ?? 0, exclusive ?? inclusive ?? 0)
  return { value, isExclusive: value === exclusive }
}

/** Numbers without a sign. */
function magnitudes(low: End, high: End, fractionDigits: number | undefined): Expr {
  const isEmpty =
    low.value > high.value || (low.value === high.value && (low.isExclusive || high.isExclusive))
  if (isEmpty) return never
  const [lowInt, lowFraction] = decimal(low.value)
  const [highInt, highFraction] = decimal(high.value)
  // So few digits in all that two different numbers are different doubles.
  const most =
    fractionDigits ??
    Math.max(1, 15 - String(highInt).length, lowFraction.length, highFraction.length)
  const someDigits = repeat(digit, 0, most)
  const anyFraction = most === 0 ? empty : optional(seq(text('.'), repeat(digit, 1, most)))

  const zeros = repeat(text('0'), 0, most)
  const aboveZero = seq(zeros, digits(1, 9), someDigits)
  /** Digits of at least, or more than, `f` (after some equal ones). */
  const atLeast = (f: string): Expr => {
    if (f === '') return low.isExclusive ? aboveZero : someDigits
    const d = Number(f[0])
    return choice(seq(text(String(d)), atLeast(f.slice(1))), ...above(d))
  }
  const atMost = (f: string): Expr => {
    if (f === '') return high.isExclusive ? never : zeros
    const d = Number(f[0])
    return choice(empty, seq(text(String(d)), atMost(f.slice(1))), ...below(d))
  }
  const above = (d: number) => (d < 9 ? [seq(digits(d + 1, 9), someDigits)] : [])
  const below = (d: number) => (d > 0 ? [seq(digits(0, d - 1), someDigits)] : [])
  const between = (a: string, b: string): Expr => {
    if (a === '' && b === '') return low.isExclusive || high.isExclusive ? never : zeros
    const c = Number(a[0] ?? 0)
    const d = Number(b[0] ?? 0)
    if (c === d) return seq(text(String(c)), between(a.slice(1), b.slice(1)))
    return choice(
      seq(text(String(c)), atLeast(a.slice(1))),
      ...(d > c + 1 ? [seq(digits(c + 1, d - 1), someDigits)] : []),
      seq(text(String(d)), atMost(b.slice(1))),
    )
  }
  /** A point, and at least one digit of a sequence that may be empty. */
  const pointed = (fraction: Expr): Expr =>
    most === 0 ? never : seq(text('.'), nonEmpty(fraction))

  const startsAtInteger = lowFraction === '' && !low.isExclusive
  if (lowInt === highInt) {
    return seq(
      text(String(lowInt)),
      choice(pointed(between(lowFraction, highFraction)), ...(startsAtInteger ? [empty] : [])),
    )
  }
  return choice(
    seq(
      text(String(lowInt)),
      choice(pointed(atLeast(lowFraction)), ...(startsAtInteger ? [empty] : [])),
    ),
    ...(highInt - lowInt > 1n ? [seq(naturals(lowInt + 1n, highInt - 1n), anyFraction)] : []),
    seq(
      text(String(highInt)),
      choice(
        pointed(atMost(highFraction)),
        ...(highFraction === '' && high.isExclusive ? [] : [empty]),
      ),
    ),
  )
}

/** The same texts without the empty one, for the expressions made here. */
function nonEmpty(expr: Expr): Expr {
  switch (expr.kind) {
    case 'text':
      return expr.text === '' ? never : expr
    case 'choice':
      return choice(...expr.items.map(nonEmpty))
    case 'repeat':
      return expr.max < 1 ? never : repeat(expr.item, Math.max(1, expr.min), expr.max)
    case 'seq': {
      const first = expr.items[0]
      if (first === undefined) return never
      // Its first part is a digit, or zeros before one.
      return expr
    }
    default:
      return expr
  }
}

/** The exact decimal of a non-negative number, as shortest written: integer part and digits after the point. */
function decimal(value: number): [bigint, string] {
  const [mantissa = '0', exponent = '0'] = String(value).split('e')
  const [int = '0', fraction = ''] = mantissa.split('.')
  const shift = Number(exponent)
  if (shift >= 0) {
    const moved = fraction.padEnd(shift, '0')
    return [BigInt(int + moved.slice(0, shift)), moved.slice(shift).replace(/0+$/, '')]
  }
  const padded = int.padStart(1 - shift, '0')
  const cut = padded.length + shift
  return [BigInt(padded.slice(0, cut)), (padded.slice(cut) + fraction).replace(/0+$/, '')]
}

/** Integers from `low` to `high`, both at least 0. */
function naturals(low: bigint, high: bigint): Expr {
  if (low > high) return never
  const parts: Expr[] = []
  const [a, b] = [String(low), String(high)]
  for (let length = a.length; length <= b.length; length++) {
    const from = length === a.length ? a : `1${'0'.repeat(length - 1)}`
    const to = length === b.length ? b : '9'.repeat(length)
    parts.push(sameLength(from, to))
  }
  return choice(...parts)
}

function sameLength(from: string, to: string): Expr {
  if (from === '') return empty
  if (/^0+$/.test(from) && /^9+$/.test(to)) return repeat(digit, from.length, from.length)
  const a = Number(from[0])
  const b = Number(to[0])
  const rest = from.length - 1
  if (a === b) return seq(text(String(a)), sameLength(from.slice(1), to.slice(1)))
  return choice(
    seq(text(String(a)), sameLength(from.slice(1), '9'.repeat(rest))),
    ...(b > a + 1 ? [seq(digits(a + 1, b - 1), repeat(digit, rest, rest))] : []),
    seq(text(String(b)), sameLength('0'.repeat(rest), to.slice(1))),
  )
}
