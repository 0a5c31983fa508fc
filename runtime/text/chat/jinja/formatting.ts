import { typeError, undefinedError, valueError } from './errors.ts'
import { floatText } from './pythonText.ts'
import {
  Float,
  isDict,
  numberOf,
  repr,
  Tuple,
  toText,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** Python's `text % values`. @throws JinjaError TypeError when values and directives do not match */
export function percentFormat(text: string, values: Value): string {
  const args = values instanceof Tuple ? values : [values]
  let next = 0
  const take = () => {
    if (next >= args.length) throw typeError('not enough arguments for format string')
    return args[next++] ?? null
  }
  const form = /%(?:\((\w+)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?[hlL]?([a-zA-Z%])/g
  const out = text.replace(form, (_whole, key, flags, width, precision, type) => {
    if (type === '%') return '%'
    const size = width === '*' ? Number(take()) : Number(width ?? 0)
    const digits = precision === '*' ? Number(take()) : precision && Number(precision)
    let value: Value
    if (key === undefined) value = take()
    else if (isDict(values)) value = values.get(key) ?? null
    else throw typeError('format requires a mapping')
    return pad(directive(type, value, flags, digits), size, flags)
  })
  if (next < args.length && !isDict(values)) {
    throw typeError('not all arguments converted during string formatting')
  }
  return out
}

function directive(type: string, value: Value, flags: string, digits?: number): string {
  switch (type) {
    case 's':
      return toText(value).slice(0, digits)
    case 'r':
    case 'a':
      return repr(value).slice(0, digits)
    case 'c':
      return typeof value === 'number' ? String.fromCodePoint(value) : toText(value)
  }
  const number = numberOf(value)
  if (number === undefined) {
    throw typeError(`%${type} format: a real number is required, not ${typeName(value)}`)
  }
  return signed(numeric(type, number, digits), number, flags)
}

function numeric(type: string, number: number, digits = 6): string {
  const size = Math.abs(number)
  switch (type) {
    case 'd':
    case 'i':
    case 'u':
      return String(Math.trunc(size))
    case 'x':
      return Math.trunc(size).toString(16)
    case 'X':
      return Math.trunc(size).toString(16).toUpperCase()
    case 'o':
      return Math.trunc(size).toString(8)
    case 'b':
      return Math.trunc(size).toString(2)
    case 'f':
    case 'F':
      return size.toFixed(digits)
    case 'e':
    case 'E': {
      const text = size.toExponential(digits).replace(/e([-+])(\d)$/, 'e$10$2')
      return type === 'E' ? text.toUpperCase() : text
    }
    case 'g':
    case 'G':
      return floatText(Number(size.toPrecision(Math.max(1, digits)))).replace(/\.0$/, '')
    case '%':
      return `${(size * 100).toFixed(digits)}%`
    default:
      throw valueError(`unsupported format character '${type}'`)
  }
}

function signed(text: string, number: number, flags: string): string {
  if (number < 0) return `-${text}`
  if (flags.includes('+')) return `+${text}`
  return flags.includes(' ') ? ` ${text}` : text
}

function pad(text: string, width: number, flags: string): string {
  if (flags.includes('-')) return text.padEnd(width)
  if (!flags.includes('0')) return text.padStart(width)
  const sign = /^[-+ ]/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(width - sign.length, '0')
}

/** Python's `str.format`, with attributes left out: values by position or name, conversions, format specifications. */
export function braceFormat(text: string, args: Value[], named: Map<string, Value>): string {
  let next = 0
  const form = /\{\{|\}\}|\{([^{}!:]*)(?:!([rsa]))?(?::([^{}]*))?\}|[{}]/g
  return text.replace(form, (whole, key, conversion, spec) => {
    if (whole === '{{') return '{'
    if (whole === '}}') return '}'
    if (whole === '{' || whole === '}') {
      throw valueError(`Single '${whole}' encountered in format string`)
    }
    const value = argument(key === '' ? String(next++) : key, args, named)
    if (conversion === 'r' || conversion === 'a') return formatValue(repr(value), spec ?? '')
    return formatValue(conversion === 's' ? toText(value) : value, spec ?? '')
  })
}

function argument(key: string, args: Value[], named: Map<string, Value>): Value {
  const value = /^\d+$/.test(key) ? args[Number(key)] : named.get(key)
  if (value === undefined) {
    throw /^\d+$/.test(key)
      ? valueError('Replacement index out of range for positional args tuple')
      : undefinedError(`'${key}' is undefined`)
  }
  return value
}

/** Python's `format(value, spec)`. */
function formatValue(value: Value, spec: string): string {
  const match = /^(?:(.)?([<>=^]))?([-+ ])?#?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u.exec(spec)
  if (match === null) throw valueError(`Invalid format specifier '${spec}'`)
  const [, fill, align, sign = '', zero, width = '0', group, precision, type] = match
  const number = numberOf(value)
  const isNumber = number !== undefined && type !== 's'
  let text: string
  if (!isNumber || typeof value === 'boolean') {
    if (value instanceof Undefined) text = ''
    else text = toText(value).slice(0, precision === undefined ? undefined : Number(precision))
  } else {
    text = numberText(number, value, type, precision)
    if (group) text = text.replace(/^\d+/, whole => whole.replace(/\B(?=(\d{3})+$)/g, group))
    text = signed(text, number, sign)
  }
  const padding = fill ?? (zero && isNumber ? '0' : ' ')
  const side = align ?? (zero && isNumber ? '=' : isNumber ? '>' : '<')
  return alignText(text, Number(width), side, padding)
}

function numberText(number: number, value: Value, type?: string, precision?: string): string {
  const digits = precision === undefined ? undefined : Number(precision)
  if (type !== undefined && type !== 'n') return numeric(type, number, digits)
  if (digits !== undefined) return numeric('g', number, digits)
  return value instanceof Float ? floatText(Math.abs(number)) : String(Math.abs(number))
}

function alignText(text: string, width: number, side: string, fill: string): string {
  const missing = Math.max(0, width - Array.from(text).length)
  switch (side) {
    case '<':
      return text + fill.repeat(missing)
    case '^':
      return fill.repeat(Math.floor(missing / 2)) + text + fill.repeat(Math.ceil(missing / 2))
    case '=': {
      const sign = /^[-+ ]/.exec(text)?.[0] ?? ''
      return sign + fill.repeat(missing) + text.slice(sign.length)
    }
    default:
      return fill.repeat(missing) + text
  }
}
