const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/**
 * Returns the index of the first character that cannot continue a JSON document, `text.length` when it is cut off.
 * Only called on text that `JSON.parse` refused: engines differ in whether their message has a position.
 * Source: RFC 8259.
 */
export function jsonErrorPosition(text: string): number {
  let at = 0
  const skipSpace = () => {
    while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at++
  }
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at
    const length = pattern.exec(text)?.[0].length ?? 0
    at += length
    return length > 0
  }
  const take = (char: string) => {
    if (text[at] !== char) return false
    at++
    skipSpace()
    return true
  }
  const scalar = () => {
    const found = skip(SCALAR)
    if (found) skipSpace()
    return found
  }
  const string = () => {
    if (text[at] !== '"') return false
    at++
    while (text[at] !== '"') {
      const char = text[at]
      if (char === undefined || char < ' ') return false
      if (char !== '\\') at++
      else if (!skip(ESCAPE)) return false
    }
    return take('"')
  }
  const key = () => string() && take(':')

  /** Closing brackets still to come. */
  const open: string[] = []
  skipSpace()
  for (;;) {
    let complete = true
    if (take('{')) {
      complete = take('}')
      if (!complete) {
        if (!key()) return at
        open.push('}')
      }
    } else if (take('[')) {
      complete = take(']')
      if (!complete) open.push(']')
    } else if (text[at] === '"' ? !string() : !scalar()) return at
    while (complete && open.length > 0) {
      if (take(',')) {
        if (open.at(-1) === '}' && !key()) return at
        complete = false
      } else if (!take(open.pop() ?? '')) return at
    }
    if (complete) return at
  }
}
