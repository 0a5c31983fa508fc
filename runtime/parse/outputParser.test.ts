import { expect, test } from 'vitest'
import { outputCases } from '../../test/support/outputCases.ts'
import { type ParseCase, parsePieces, summarize } from '../../test/support/parseOutput.ts'

for (const [family, { format, outputs }] of Object.entries(outputCases)) {
  test.each(outputs)(`${family}: $what`, ({ output, expected, promptTail }) => {
    const options: ParseCase = { ...format, ...(promptTail !== undefined && { promptTail }) }
    const whole = parsePieces(options, [output])
    expect(summarize(whole)).toEqual(expected)
    expect(summarize(parsePieces(options, [...output]))).toEqual(expected)
    expect(whole.every(delta => delta.end <= output.length)).toBe(true)
  })
}
