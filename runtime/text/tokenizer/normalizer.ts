import { compileOnigRegex } from '../regex/onigRegex.ts'

/** Rewrites a stretch of text before it is split. */
export type Normalizer = (text: string) => string

/** Characters that a `StripAccents` step removes: combining marks of decomposed text. */
const marks = /\p{Mn}/gu

/** No prompt is this long; steps that each make a text longer soon are. */
const maxChars = 2 ** 26

/** Applies steps in order. @throws RangeError when they make too long a text */
export function sequenceNormalizer(steps: Normalizer[]): Normalizer {
  return text =>
    steps.reduce((value, step) => {
      const result = step(value)
      if (result.length > maxChars) throw new RangeError(`a text of ${result.length} characters`)
      return result
    }, text)
}

/** Puts `prefix` before any text that is not empty. */
export function prependNormalizer(prefix: string): Normalizer {
  return text => (text === '' ? '' : prefix + text)
}

/** Replaces every match of a literal string or an Oniguruma regular expression by literal text. */
export function replaceNormalizer(
  pattern: { String: string } | { Regex: string },
  content: string,
): Normalizer {
  if ('String' in pattern) {
    const { String: literal } = pattern
    return text => (literal === '' ? text : text.replaceAll(literal, () => content))
  }
  const regex = compileOnigRegex(pattern.Regex, 'g')
  return text => text.replace(regex, () => content)
}

export function unicodeNormalizer(form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): Normalizer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is in every normal form, and is most text
  const ascii = /^[\x00-\x7f]*$/
  return text => (ascii.test(text) ? text : text.normalize(form))
}

export function lowercaseNormalizer(): Normalizer {
  return text => text.toLowerCase()
}

export function stripNormalizer(left: boolean, right: boolean): Normalizer {
  return text => {
    const start = left ? text.replace(/^\p{White_Space}+/u, '') : text
    if (!right) return start
    let end = start.length
    while (end > 0 && /\p{White_Space}/u.test(start[end - 1] ?? '')) end -= 1
    return start.slice(0, end)
  }
}

export function stripAccentsNormalizer(): Normalizer {
  return text => text.replace(marks, '')
}
