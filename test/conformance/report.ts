/** Cases of one file, and the first that differs. */
export interface SuiteResult {
  file: string
  cases: number
  equal: number
  differences: Difference[]
}

export interface Difference {
  name: string
  expected: string
  actual: string
}

const shownChars = 160

/** Prints a table and the differences; returns the exit code. */
export function printReport(results: SuiteResult[]): number {
  const cases = results.reduce((sum, result) => sum + result.cases, 0)
  const equal = results.reduce((sum, result) => sum + result.equal, 0)
  if (cases === 0) {
    console.error('no cases found')
    return 3
  }
  const width = Math.max(5, ...results.map(result => result.file.length))
  const row = (file: string, all: string | number, same: string | number, first: string) =>
    console.log(
      `${file.padEnd(width)}  ${String(all).padStart(5)}  ${String(same).padStart(5)}  ${first}`,
    )
  row('file', 'cases', 'equal', 'first difference')
  for (const { file, cases: all, equal: same, differences } of results) {
    row(file, all, same, differences[0]?.name ?? '')
  }
  row('total', cases, equal, '')
  for (const { file, differences } of results) {
    for (const { name, expected, actual } of differences) {
      const at = firstDifference(expected, actual)
      console.log(`\n${file}: ${name}, from character ${at}`)
      console.log(`  expected ${JSON.stringify(expected.slice(at, at + shownChars))}`)
      console.log(`  actual   ${JSON.stringify(actual.slice(at, at + shownChars))}`)
    }
  }
  return equal === cases ? 0 : 1
}

function firstDifference(a: string, b: string): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1
  return at
}
