import { assertNotExponential } from './exponentialRegex.ts'
import { translateOnigPattern } from './onigTranslator.ts'
import { UnsupportedRegexError } from './unsupportedRegexError.ts'

const maxPatternChars = 20_000

/**
 * Compiles a regular expression of a tokenizer.json, which is written for Oniguruma, with JavaScript's `v` flag:
 * Unicode white space, digits and words, possessive and atomic groups, script names, class intersections, line anchors.
 * @param flags `g` or `y`
 * @param options.isTrusted skip the probes, about 10 ms: the pattern is our own
 * @throws UnsupportedRegexError for syntax without a counterpart and for patterns that backtrack exponentially
 * Source: Oniguruma `doc/RE`; ECMA-262 `v` mode.
 */
export function compileOnigRegex(
  pattern: string,
  flags: 'g' | 'y',
  options: { isTrusted?: boolean } = {},
): RegExp {
  if (pattern.length > maxPatternChars) {
    throw new UnsupportedRegexError(pattern, `longer than ${maxPatternChars} characters`)
  }
  const source = translateOnigPattern(pattern)
  let regex: RegExp
  try {
    regex = new RegExp(source, `v${flags}`)
  } catch (cause) {
    throw new UnsupportedRegexError(pattern, 'not supported', { cause })
  }
  if (!options.isTrusted) assertNotExponential(pattern, regex)
  return regex
}
