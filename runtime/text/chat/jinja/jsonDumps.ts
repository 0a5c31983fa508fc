import { typeError } from './errors.ts'
import { floatText } from './pythonText.ts'
import { compare, Float, isDict, typeName, type Value } from './values.ts'

export interface DumpOptions {
  ensureAscii: boolean
  /** Spaces, or text, of one level; null keeps everything on one line. */
  indent: string | null
  /** Between items, and after keys; null: Python's defaults. */
  separators: [string, string] | null
  sortKeys: boolean
}

/** Python's `json.dumps`. @throws JinjaError TypeError for what JSON has no form for */
export function jsonDumps(value: Value, options: DumpOptions): string {
  return dump(value, options, '\n')
}

function dump(value: Value, options: DumpOptions, lineStart: string): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number') return BigInt(value).toString()
  if (value instanceof Float) return jsonFloat(value.value)
  if (typeof value === 'string') return jsonString(value, options.ensureAscii)
  const [comma, colon] = options.separators ?? [options.indent === null ? ', ' : ',', ': ']
  const inner = lineStart + (options.indent ?? '')
  const wrap = (open: string, items: string[], close: string) => {
    if (items.length === 0) return open + close
    if (options.indent === null) return open + items.join(comma) + close
    return open + inner + items.join(comma + inner) + lineStart + close
  }
  if (Array.isArray(value)) {
    return wrap(
      '[',
      value.map(item => dump(item, options, inner)),
      ']',
    )
  }
  if (isDict(value)) {
    const entries = [...value]
    if (options.sortKeys) entries.sort(([a], [b]) => compare(a, b))
    const items = entries.map(
      ([key, entry]) =>
        jsonString(jsonKey(key), options.ensureAscii) + colon + dump(entry, options, inner),
    )
    return wrap('{', items, '}')
  }
  throw typeError(`Object of type ${typeName(value)} is not JSON serializable`)
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  return floatText(value)
}

function jsonKey(key: Value): string {
  if (typeof key === 'string') return key
  if (key === null) return 'null'
  if (typeof key === 'boolean') return key ? 'true' : 'false'
  if (typeof key === 'number') return String(key)
  if (key instanceof Float) return jsonFloat(key.value)
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

function jsonString(text: string, ensureAscii: boolean): string {
  // JSON.stringify differs from Python in lone surrogates only.
  const quoted = JSON.stringify(text)
  if (!ensureAscii) return quoted
  return quoted.replace(
    /[\x7f-\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
