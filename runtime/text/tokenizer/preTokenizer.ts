import { compileOnigRegex } from '../regex/onigRegex.ts'
import { byteLevelChars } from './byteLevel.ts'

/**
 * Splits pieces of text further; no token will cross the ends of a piece.
 * @param isTextStart pieces[0] begins the whole input, nothing (not even a special token) is before it
 */
export type PreTokenizer = (pieces: string[], isTextStart: boolean) => string[]

export const splitBehaviors = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const
/** What becomes of the text a delimiter matched. */
export type SplitBehavior = (typeof splitBehaviors)[number]

/** GPT-2's split. Source: OpenAI GPT-2 `encoder.py`. */
export const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

export function sequencePreTokenizer(steps: PreTokenizer[]): PreTokenizer {
  return (pieces, isTextStart) =>
    steps.reduce((current, step) => step(current, isTextStart), pieces)
}

/** Splits at the matches of a regular expression, or with `invert` at what is between them. */
export function splitPreTokenizer(
  pattern: { String: string } | { Regex: string; isTrusted?: boolean },
  behavior: SplitBehavior,
  invert = false,
): PreTokenizer {
  if ('String' in pattern) {
    const { String: literal } = pattern
    return splitBy(text => literalMatches(text, literal), behavior, invert)
  }
  const regex = compileOnigRegex(pattern.Regex, 'g', { isTrusted: pattern.isTrusted ?? false })
  if (behavior === 'Isolated') return isolateMatches(regex)
  return splitBy(text => regexMatches(text, regex), behavior, invert)
}

/** The common case, kept lean: matches and the text between them are the pieces. */
function isolateMatches(regex: RegExp): PreTokenizer {
  return pieces => {
    const out: string[] = []
    for (const text of pieces) {
      let end = 0
      regex.lastIndex = 0
      for (;;) {
        const match = regex.exec(text)
        if (match === null) break
        const length = match[0].length
        if (match.index > end) out.push(text.slice(end, match.index))
        if (length > 0) out.push(match[0])
        else regex.lastIndex += (text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1
        end = match.index + length
      }
      if (end < text.length) out.push(text.slice(end))
    }
    return out
  }
}

/** [start, end) of every match, in order. */
type Spans = [number, number][]

function splitBy(
  matches: (text: string) => Spans,
  behavior: SplitBehavior,
  invert: boolean,
): PreTokenizer {
  return pieces => pieces.flatMap(text => splitText(text, matches(text), behavior, invert))
}

function splitText(
  text: string,
  matches: Spans,
  behavior: SplitBehavior,
  invert: boolean,
): string[] {
  const parts: { start: number; end: number; isDelimiter: boolean }[] = []
  let at = 0
  for (const [start, end] of matches) {
    if (start > at) parts.push({ start: at, end: start, isDelimiter: invert })
    parts.push({ start, end, isDelimiter: !invert })
    at = end
  }
  if (at < text.length) parts.push({ start: at, end: text.length, isDelimiter: invert })
  return joinParts(parts, behavior)
    .map(({ start, end }) => text.slice(start, end))
    .filter(piece => piece !== '')
}

type Part = { start: number; end: number; isDelimiter: boolean }

function joinParts(parts: Part[], behavior: SplitBehavior): Part[] {
  const joined: Part[] = []
  switch (behavior) {
    case 'Isolated':
      return parts
    case 'Removed':
      return parts.filter(part => !part.isDelimiter)
    case 'Contiguous':
      for (const part of parts) {
        const last = joined.at(-1)
        if (last && last.isDelimiter === part.isDelimiter) last.end = part.end
        else joined.push({ ...part })
      }
      return joined
    case 'MergedWithPrevious': {
      let isAfterDelimiter = false
      for (const part of parts) {
        const last = joined.at(-1)
        if (part.isDelimiter && !isAfterDelimiter && last) last.end = part.end
        else joined.push({ ...part })
        isAfterDelimiter = part.isDelimiter
      }
      return joined
    }
    case 'MergedWithNext': {
      let isBeforeDelimiter = false
      for (const part of parts.toReversed()) {
        const last = joined.at(-1)
        if (part.isDelimiter && !isBeforeDelimiter && last) last.start = part.start
        else joined.push({ ...part })
        isBeforeDelimiter = part.isDelimiter
      }
      return joined.reverse()
    }
  }
}

function literalMatches(text: string, literal: string): Spans {
  const spans: Spans = []
  if (literal === '') return spans
  for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length)) {
    spans.push([at, at + literal.length])
  }
  return spans
}

function regexMatches(text: string, regex: RegExp): Spans {
  return Array.from(text.matchAll(regex), match => [match.index, match.index + match[0].length])
}

/** GPT-2's rules: an optional space before every piece, and the split; the byte alphabet itself is the model's. */
export function byteLevelPreTokenizer(addPrefixSpace: boolean, useRegex: boolean): PreTokenizer {
  const split = useRegex
    ? splitPreTokenizer({ Regex: gpt2Pattern, isTrusted: true }, 'Isolated')
    : undefined
  return (pieces, isTextStart) => {
    const prefixed = addPrefixSpace
      ? pieces.map(piece => (piece.startsWith(' ') ? piece : ` ${piece}`))
      : pieces
    return split ? split(prefixed, isTextStart) : prefixed
  }
}

/** Rewrites pieces in GPT-2's byte characters, for steps that come after a ByteLevel step. */
export function toByteCharsPreTokenizer(): PreTokenizer {
  return pieces =>
    pieces.map(piece => {
      let mapped = ''
      for (const byte of Buffer.from(piece, 'utf8')) mapped += byteLevelChars[byte]
      return mapped
    })
}

/**
 * SentencePiece's spaces: each becomes `replacement`, one is put in front, and pieces begin at it.
 * @param prependScheme `first` only at the start of the whole input
 */
export function metaspacePreTokenizer(
  replacement: string,
  prependScheme: 'always' | 'first' | 'never',
  split: boolean,
): PreTokenizer {
  const splitter = splitPreTokenizer({ String: replacement }, 'MergedWithNext')
  return (pieces, isTextStart) => {
    const marked = pieces.map((piece, i) => {
      const text = piece.replaceAll(' ', () => replacement)
      const prepends =
        prependScheme === 'always' || (prependScheme === 'first' && isTextStart && i === 0)
      return prepends && !text.startsWith(replacement) ? replacement + text : text
    })
    return split ? splitter(marked, isTextStart) : marked
  }
}

/** Numbers apart from the rest; each digit by itself, or runs of them. */
export function digitsPreTokenizer(individualDigits: boolean): PreTokenizer {
  return splitPreTokenizer(
    { Regex: '\\p{N}', isTrusted: true },
    individualDigits ? 'Isolated' : 'Contiguous',
  )
}

export function punctuationPreTokenizer(behavior: SplitBehavior): PreTokenizer {
  return splitPreTokenizer({ Regex: '[!-/:-@\\[-`{-~\\p{P}]', isTrusted: true }, behavior)
}

/** Runs of word characters and runs of others; white space goes. */
export function whitespacePreTokenizer(): PreTokenizer {
  return splitPreTokenizer({ Regex: '\\w+|[^\\w\\s]+' }, 'Removed', true)
}

export function whitespaceSplitPreTokenizer(): PreTokenizer {
  return splitPreTokenizer({ Regex: '\\s' }, 'Removed')
}
