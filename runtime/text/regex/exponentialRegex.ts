import { UnsupportedRegexError } from './unsupportedRegexError.ts'

/** Small steps, so that the first slow probe of an exponential pattern is not a very slow one. */
const probeLengths = [6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 32, 36, 40]
const probeBudgetMs = 25
/** Beyond this, no first-run compilation explains a slow probe. */
const certainMs = 150
const probeUnits = [
  'a',
  'A',
  '1',
  ' ',
  '\n',
  '.',
  '-',
  'é',
  '一',
  "'s",
  ' a',
  'a1',
  'aB',
  ' \n',
  '!a',
]

/**
 * Runs the pattern over short runs of repeated characters with an end that does not match. Time that explodes with the
 * length shows nested ambiguous repetition, which one hostile prompt could turn into hours.
 * @throws UnsupportedRegexError
 */
export function assertNotExponential(pattern: string, regex: RegExp): void {
  for (const unit of probeUnits) {
    for (const length of probeLengths) {
      for (const end of ['\u0001', '']) {
        const text = unit.repeat(length) + end
        const first = probe(regex, text)
        if (first < probeBudgetMs) continue
        if (first > certainMs || probe(regex, text) >= probeBudgetMs) {
          throw new UnsupportedRegexError(pattern, 'backtracks exponentially')
        }
      }
    }
  }
  regex.lastIndex = 0
}

/** CPU milliseconds of one search: on a busy machine wall time says nothing about a pattern. */
function probe(regex: RegExp, text: string): number {
  const start = process.threadCpuUsage()
  regex.lastIndex = 0
  regex.test(text)
  const { user, system } = process.threadCpuUsage(start)
  return (user + system) / 1000
}
