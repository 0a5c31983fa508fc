import {
  type CodePoints,
  charClass,
  choice,
  complement,
  type Expr,
  intersection,
  optional,
  repeat,
  seq,
  text,
  union,
} from '../expr.ts'

/** How values are written: JSON, or a notation like it. */
export interface ValueSyntax {
  comma: Expr
  colon: Expr
  /** Around a string. */
  quote: Expr
  /** One character of a string, written in any way. */
  char: Expr
  /** One character of a class, as it is written in a string. */
  spell: (points: CodePoints) => Expr
  /** The name of a property. */
  key: (name: string) => Expr
  keyQuote: Expr
  /** What names of properties that are not declared may be made of; each is written in one way only. */
  keyPoints: CodePoints
  minKeyLength: 0 | 1
}

/** Code points that JSON cannot hold as they are. */
const unwritable: CodePoints = union([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
])
const writable = complement(unwritable)
const shortEscapes: Record<number, string> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
}
const hexDigit = oneOf('0123456789abcdefABCDEF')

/** White space is at most one space, where people put it. */
export const jsonSyntax: ValueSyntax = {
  comma: seq(text(','), optional(text(' '))),
  colon: seq(text(':'), optional(text(' '))),
  quote: text('"'),
  // Never half of a surrogate pair, which would be no character.
  char: choice(
    charClass(writable),
    seq(
      text('\\'),
      choice(
        oneOf('"\\/bfnrt'),
        seq(
          text('u'),
          choice(
            seq(oneOf('0123456789abcefABCEF'), repeat(hexDigit, 3, 3)),
            seq(oneOf('dD'), oneOf('01234567'), repeat(hexDigit, 2, 2)),
          ),
        ),
      ),
    ),
  ),
  spell: points => {
    const ways: Expr[] = [charClass(intersection(points, writable))]
    for (const [low, high] of intersection(points, unwritable)) {
      for (let p = low; p <= high; p++) {
        ways.push(text(shortEscapes[p] ?? `\\u${p.toString(16).padStart(4, '0')}`))
      }
    }
    return choice(...ways)
  },
  key: name => text(JSON.stringify(name)),
  keyQuote: text('"'),
  keyPoints: writable,
  minKeyLength: 0,
}

function oneOf(chars: string): Expr {
  return charClass(union(Array.from(chars, c => [c.charCodeAt(0), c.charCodeAt(0)] as const)))
}
