/** Python's `repr` of a float: the shortest digits that read back the same, exponents from 1e16 and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    const sign = exponent < 0 ? '-' : '+'
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const digits = mantissa.replace(/[-.]/g, '')
  const minus = value < 0 ? '-' : ''
  if (exponent < 0) return `${minus}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${minus}${whole}.${digits.slice(exponent + 1) || '0'}`
}

const shortEscapes: Record<string, string> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** Python's `repr` of a string. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  let out = ''
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    if (char === quote) out += `\\${char}`
    else if (shortEscapes[char] !== undefined) out += shortEscapes[char]
    else if (isPrintable(char, code)) out += char
    else if (code <= 0xff) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code <= 0xffff) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return quote + out + quote
}

function isPrintable(char: string, code: number): boolean {
  if (code >= 0x20 && code < 0x7f) return true
  return !/[\p{C}\p{Z}]/u.test(char)
}

/** White space as `str.strip()` and `str.split()` see it. */
export const pythonSpace =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const leadingSpace = new RegExp(`^[${pythonSpace}]+`)
const spaceChar = new RegExp(`[${pythonSpace}]`)

/** Removes characters of a set (white space without one) at the ends. */
export function strip(
  text: string,
  chars: string | null,
  ends: { left: boolean; right: boolean },
): string {
  if (chars === null) {
    const start = ends.left ? text.replace(leadingSpace, '') : text
    let end = start.length
    while (ends.right && end > 0 && spaceChar.test(start[end - 1] ?? '')) end -= 1
    return start.slice(0, end)
  }
  const set = new Set(chars)
  const all = Array.from(text)
  let from = 0
  let to = all.length
  while (ends.left && from < to && set.has(all[from] ?? '')) from += 1
  while (ends.right && to > from && set.has(all[to - 1] ?? '')) to -= 1
  return all.slice(from, to).join('')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts the separators 1C-1E as line ends
const lineEnd = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g

/** Python's `str.splitlines()`. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = []
  let at = 0
  for (const match of text.matchAll(lineEnd)) {
    const next = match.index + match[0].length
    lines.push(text.slice(at, keepEnds ? next : match.index))
    at = next
  }
  if (at < text.length) lines.push(text.slice(at))
  return lines
}

/** Python's `str.title()`: the first letter of every run of letters. */
export function titleCase(text: string): string {
  return text.replace(/\p{L}+/gu, word => capitalize(word))
}

/** Python's `str.capitalize()`. */
export function capitalize(text: string): string {
  const [first = ''] = text
  return first.toUpperCase() + text.slice(first.length).toLowerCase()
}
