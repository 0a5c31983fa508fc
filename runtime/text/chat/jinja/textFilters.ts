import { Bound } from './arguments.ts'
import { typeError } from './errors.ts'
import { percentFormat } from './formatting.ts'
import { jsonDumps } from './jsonDumps.ts'
import { capitalize, splitLines, strip } from './pythonText.ts'
import { centerText, replaceText } from './stringMethods.ts'
import {
  type CallArguments,
  Float,
  isDict,
  iterate,
  numberOf,
  Tuple,
  toText,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

export type Filter = (value: Value, call: CallArguments) => Value

/** Filters of jinja2 (`filters.py`) that work on one value, most of them text. */
export const textFilters: Record<string, Filter> = {
  upper: value => toText(value).toUpperCase(),
  lower: value => toText(value).toLowerCase(),
  capitalize: value => capitalize(toText(value)),
  title: value =>
    toText(value)
      .split(/([-\s({[<]+)/)
      .map(part => capitalize(part))
      .join(''),
  string: toText,
  safe: toText,
  escape: value => escapeHtml(toText(value)),
  trim: (value, call) =>
    strip(toText(value), new Bound('trim', call, ['chars']).optionalText('chars'), {
      left: true,
      right: true,
    }),
  replace: (value, call) => {
    const args = new Bound('replace', call, ['old', 'new', 'count'])
    const count = args.value('count', null)
    return replaceText(
      toText(value),
      toText(args.value('old')),
      toText(args.value('new')),
      count === null ? -1 : args.integer('count'),
    )
  },
  indent: (value, call) => indent(toText(value), call),
  center: (value, call) => {
    const text = toText(value)
    const width = new Bound('center', call, ['width']).integer('width', 80)
    return centerText(text, width, ' ')
  },
  wordcount: value => toText(value).match(/[\p{L}\p{N}\p{M}_]+/gu)?.length ?? 0,
  truncate: (value, call) => truncate(toText(value), call),
  urlencode: value => urlEncode(value),
  format: (value, { args, named }) =>
    percentFormat(toText(value), named.size > 0 ? new Map(named) : Tuple.fromItems(args)),
  tojson: (value, call) => {
    const args = new Bound('tojson', call, ['ensure_ascii', 'indent', 'separators', 'sort_keys'])
    const level = args.value('indent', null)
    return jsonDumps(value, {
      ensureAscii: args.flag('ensure_ascii', false),
      indent:
        level === null
          ? null
          : typeof level === 'string'
            ? level
            : ' '.repeat(Math.max(0, args.integer('indent'))),
      separators: separatorsOf(args.value('separators', null)),
      sortKeys: args.flag('sort_keys', false),
    })
  },
  default: (value, call) => {
    const args = new Bound('default', call, ['default_value', 'boolean'])
    const isMissing = value instanceof Undefined || (args.flag('boolean', false) && isFalsy(value))
    return isMissing ? args.value('default_value', '') : value
  },
  abs: value => {
    const number = requireNumber(value, 'bad operand type for abs()')
    return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number)
  },
  int: (value, call) => {
    const args = new Bound('int', call, ['default', 'base'])
    return toInteger(value, args.integer('base', 10)) ?? args.value('default', 0)
  },
  float: (value, call) => {
    const number = typeof value === 'string' ? parseFloatText(value) : numberOf(value)
    return number === undefined
      ? new Bound('float', call, ['default']).value('default', new Float(0))
      : new Float(number)
  },
  round: (value, call) => round(value, call),
  attr: (value, call) => {
    // Methods are not found here, as in the sandbox; only the name must be given.
    new Bound('attr', call, ['name']).text('name')
    return new Undefined(`'${typeName(value)} object' has no such attribute`)
  },
}

function isFalsy(value: Value): boolean {
  if (value === null || value === false || value === '') return true
  if (Array.isArray(value)) return value.length === 0
  return isDict(value) ? value.size === 0 : numberOf(value) === 0
}

function requireNumber(value: Value, message: string): number {
  if (value instanceof Undefined) value.fail()
  const number = numberOf(value)
  if (number === undefined) throw typeError(`${message}: '${typeName(value)}'`)
  return number
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&#39;')
    .replaceAll('"', '&#34;')
}

function indent(text: string, call: CallArguments): string {
  const args = new Bound('indent', call, ['width', 'first', 'blank'])
  const width = args.value('width', 4)
  const margin =
    typeof width === 'string' ? width : ' '.repeat(Math.max(0, args.integer('width', 4)))
  // A last newline counts as a last, empty line.
  const lines = splitLines(`${text}\n`)
  const indentsBlank = args.flag('blank', false)
  const indented = lines.map((line, i) =>
    i > 0 && (line !== '' || indentsBlank) ? margin + line : line,
  )
  return (args.flag('first', false) ? margin : '') + indented.join('\n')
}

function truncate(text: string, call: CallArguments): string {
  const args = new Bound('truncate', call, ['length', 'killwords', 'end', 'leeway'])
  const length = args.integer('length', 255)
  const end = args.text('end', '...')
  const chars = Array.from(text)
  if (chars.length <= length + args.integer('leeway', 5)) return text
  const head = chars.slice(0, Math.max(0, length - Array.from(end).length)).join('')
  if (args.flag('killwords', false)) return head + end
  const space = head.lastIndexOf(' ')
  return (space < 0 ? head : head.slice(0, space)) + end
}

function urlEncode(value: Value): string {
  const quote = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    )
  if (typeof value === 'string' || !(isDict(value) || Array.isArray(value))) {
    return quote(toText(value)).replaceAll('%2F', '/')
  }
  const pairs = isDict(value) ? [...value] : value.map(pair => iterate(pair))
  const quoteField = (part: Value) => quote(toText(part)).replaceAll('%20', '+')
  return pairs.map(pair => pair.map(quoteField).join('=')).join('&')
}

function separatorsOf(value: Value): [string, string] | null {
  if (value === null) return null
  const [comma, colon] = iterate(value)
  if (typeof comma !== 'string' || typeof colon !== 'string') {
    throw typeError('separators must be a pair of strings')
  }
  return [comma, colon]
}

function parseFloatText(text: string): number | undefined {
  const trimmed = text.trim().replace(/(?<=\d)_(?=\d)/g, '')
  if (/^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(trimmed)) return Number(trimmed)
  const word = /^([-+]?)(inf|infinity|nan)$/i.exec(trimmed)
  if (!word) return undefined
  if (word[2]?.toLowerCase() === 'nan') return Number.NaN
  return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

function toInteger(value: Value, base: number): number | undefined {
  if (typeof value === 'string') {
    const text = value
      .trim()
      .replace(/(?<=\w)_(?=\w)/g, '')
      .toLowerCase()
    const prefix = { 16: '0x', 8: '0o', 2: '0b' }[base]
    const digits = prefix === undefined ? text : text.replace(prefix, '')
    const allowed = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base)
    if (new RegExp(`^[-+]?[${allowed}]+$`).test(digits)) return Number.parseInt(digits, base)
  }
  const number = typeof value === 'string' ? parseFloatText(value) : numberOf(value)
  return number === undefined || !Number.isFinite(number) ? undefined : Math.trunc(number)
}

function round(value: Value, call: CallArguments): Value {
  const args = new Bound('round', call, ['precision', 'method'])
  const precision = args.integer('precision', 0)
  const method = args.text('method', 'common')
  const number = requireNumber(value, 'type has no __round__ method')
  const scale = 10 ** precision
  if (method === 'ceil') return new Float(Math.ceil(number * scale) / scale)
  if (method === 'floor') return new Float(Math.floor(number * scale) / scale)
  const isFloat = value instanceof Float
  if (!isFloat && precision >= 0) return number
  const rounded =
    precision >= 0 ? roundDecimal(number, precision) : halfToEven(number * scale) / scale
  return isFloat ? new Float(rounded) : rounded
}

/** Rounds the exact binary value; exact halves go to the even digit, which `toFixed` does not do. */
function roundDecimal(value: number, digits: number): number {
  const places = Math.min(digits, 100)
  const rest =
    value
      .toFixed(Math.min(100, places + 60))
      .split('.')[1]
      ?.slice(places) ?? ''
  if (!/^50*$/.test(rest)) return Number(value.toFixed(places))
  return halfToEven(value * 10 ** places) / 10 ** places
}

function halfToEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}
