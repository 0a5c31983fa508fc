import type { PatternCursor } from './patternCursor.ts'

// Translates what stands for one character in an Oniguruma pattern: classes, escapes and characters of themselves.
// Each function reads at the cursor, returns source for JavaScript's `v` flag, and throws UnsupportedRegexError.

const whiteSpace = '\\p{White_Space}'
/** Members of Oniguruma's `\w`, for use in brackets. */
export const word = '\\p{L}\\p{M}\\p{N}\\p{Pc}'

/** POSIX names, as brackets and as properties. */
const posixClasses: Record<string, string> = {
  alnum: '\\p{L}\\p{M}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\p{ASCII}',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  lower: '\\p{Lowercase}',
  print: '\\P{C}',
  punct: '\\p{P}\\p{S}',
  space: whiteSpace,
  upper: '\\p{Uppercase}',
  word,
  xdigit: '0-9A-Fa-f',
}

/** An escape that stands for characters, inside or outside of a class; a class where it is more than one. */
export function characterEscape(cursor: PatternCursor): string {
  const char = cursor.take()
  switch (char) {
    case 's':
      return whiteSpace
    case 'S':
      return '\\P{White_Space}'
    case 'd':
      return '\\p{Nd}'
    case 'D':
      return '\\P{Nd}'
    case 'w':
      return `[${word}]`
    case 'W':
      return `[^${word}]`
    case 'h':
      return '[0-9A-Fa-f]'
    case 'H':
      return '[^0-9A-Fa-f]'
    case 'p':
    case 'P':
      return property(cursor, char === 'P')
    case 't':
    case 'n':
    case 'r':
    case 'f':
    case 'v':
      return `\\${char}`
    case 'a':
      return '\\u0007'
    case 'e':
      return '\\u001b'
    case '0':
      return '\\u0000'
    case 'x':
      return hexEscape(cursor, /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{1,2}))/)
    case 'u':
      return hexEscape(cursor, /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))/)
  }
  if (/[A-Za-z0-9]/.test(char)) throw cursor.error(`unsupported escape \\${char}`)
  return literal(char)
}

function hexEscape(cursor: PatternCursor, form: RegExp): string {
  const match = form.exec(cursor.ahead(8))
  if (!match) throw cursor.error('bad hexadecimal escape')
  cursor.at += match[0].length
  return `\\u{${match[1] ?? match[2]}}`
}

function property(cursor: PatternCursor, isNegated: boolean): string {
  const text = cursor.ahead(60)
  const match = /^\{(\^?)([\w =-]+)\}/.exec(text) ?? /^()([A-Z])/.exec(text)
  if (!match) throw cursor.error('bad property')
  cursor.at += match[0].length
  const negated = isNegated !== (match[1] === '^')
  const name = match[2] ?? ''
  const posix = posixClasses[name.toLowerCase()]
  if (posix !== undefined) return `[${negated ? '^' : ''}${posix}]`
  for (const candidate of [name, `Script=${name}`]) {
    const source = `\\${negated ? 'P' : 'p'}{${candidate}}`
    try {
      new RegExp(source, 'v')
      return source
    } catch {
      // Not a name JavaScript knows in this form.
    }
  }
  throw cursor.error(`unknown property "${name}"`)
}

/** After `[`: unions, ranges, nested classes, `&&`. */
export function characterClass(cursor: PatternCursor, depth = 0): string {
  if (depth > 20) throw cursor.error('nested too deeply')
  const negation = cursor.peek() === '^' ? '^' : ''
  if (negation) cursor.at += 1
  const operands: string[] = []
  let union = ''
  let isFirst = true
  for (;;) {
    if (cursor.peek() === ']' && !isFirst) {
      cursor.at += 1
      break
    }
    isFirst = false
    if (cursor.startsWith('&&')) {
      cursor.at += 2
      operands.push(union)
      union = ''
      continue
    }
    union += classItem(cursor, depth)
  }
  operands.push(union)
  if (operands.length === 1) return `[${negation}${union}]`
  return `[${negation}${operands.map(operand => `[${operand}]`).join('&&')}]`
}

function classItem(cursor: PatternCursor, depth: number): string {
  const posix = /^\[:(\^?)([a-z]+):\]/.exec(cursor.ahead(16))
  if (posix) {
    const members = posixClasses[posix[2] ?? '']
    if (members === undefined) throw cursor.error(`unknown class [:${posix[2]}:]`)
    cursor.at += posix[0].length
    return `[${posix[1]}${members}]`
  }
  if (cursor.peek() === '[') {
    cursor.at += 1
    return characterClass(cursor, depth + 1)
  }
  const low = classMember(cursor)
  if (cursor.peek() !== '-' || cursor.peek(1) === ']' || cursor.peek(1) === '') return low
  if (cursor.peek(1) === '[') return low
  // A range needs single characters at both ends; else the hyphen is a member itself.
  const before = cursor.at
  cursor.at += 1
  const high = classMember(cursor)
  if (isSingle(low) && isSingle(high)) return `${low}-${high}`
  cursor.at = before + 1
  return `${low}\\-`
}

function classMember(cursor: PatternCursor): string {
  const char = cursor.take()
  if (char !== '\\') return literal(char)
  if (cursor.peek() === 'b') {
    cursor.at += 1
    return '\\u0008'
  }
  return characterEscape(cursor)
}

/** A character of itself, valid inside and outside of a `v` class. */
export function literal(char: string): string {
  const isPlain = /[\p{L}\p{N} ]/u.test(char) && char.length === 1
  return isPlain ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
}

function isSingle(member: string): boolean {
  return !member.startsWith('[') && !/^\\[pP]\{/.test(member)
}
