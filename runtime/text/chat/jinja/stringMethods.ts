import { Bound } from './arguments.ts'
import { typeError, valueError } from './errors.ts'
import { braceFormat } from './formatting.ts'
import { capitalize, pythonSpace, splitLines, strip, titleCase } from './pythonText.ts'
import { type CallArguments, isDict, iterate, Tuple, typeName, type Value } from './values.ts'

type Method = (text: string, args: CallArguments) => Value

const words = new RegExp(`[^${pythonSpace}]+`, 'g')

/** Methods of `str`. Source: Python library reference, "String Methods". */
const methods: Record<string, Method> = {
  upper: text => text.toUpperCase(),
  lower: text => text.toLowerCase(),
  casefold: text => text.toLowerCase(),
  title: text => titleCase(text),
  capitalize: text => capitalize(text),
  swapcase: text =>
    text.replace(/\p{L}/gu, c => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())),
  strip: (text, call) => stripped(text, call, 'strip', { left: true, right: true }),
  lstrip: (text, call) => stripped(text, call, 'lstrip', { left: true, right: false }),
  rstrip: (text, call) => stripped(text, call, 'rstrip', { left: false, right: true }),
  split: (text, call) => split(text, call, 'split'),
  rsplit: (text, call) => split(text, call, 'rsplit'),
  splitlines: (text, call) => {
    const args = new Bound('splitlines', call, ['keepends'])
    return splitLines(text, args.flag('keepends', false))
  },
  partition: (text, call) => {
    const separator = separatorOf(call, 'partition')
    const at = text.indexOf(separator)
    return at < 0 ? Tuple.fromItems([text, '', '']) : cut(text, at, separator)
  },
  rpartition: (text, call) => {
    const separator = separatorOf(call, 'rpartition')
    const at = text.lastIndexOf(separator)
    return at < 0 ? Tuple.fromItems(['', '', text]) : cut(text, at, separator)
  },
  startswith: (text, call) => affix(text, call, 'startswith', (t, a) => t.startsWith(a)),
  endswith: (text, call) => affix(text, call, 'endswith', (t, a) => t.endsWith(a)),
  removeprefix: (text, call) => {
    const prefix = new Bound('removeprefix', call, ['prefix']).text('prefix')
    return text.startsWith(prefix) ? text.slice(prefix.length) : text
  },
  removesuffix: (text, call) => {
    const suffix = new Bound('removesuffix', call, ['suffix']).text('suffix')
    return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text
  },
  replace: (text, call) => {
    const args = new Bound('replace', call, ['old', 'new', 'count'])
    return replaceText(text, args.text('old'), args.text('new'), args.integer('count', -1))
  },
  find: (text, call) => search(text, call, 'find', (t, s) => t.indexOf(s)),
  rfind: (text, call) => search(text, call, 'rfind', (t, s) => t.lastIndexOf(s)),
  index: (text, call) => found(search(text, call, 'index', (t, s) => t.indexOf(s))),
  rindex: (text, call) => found(search(text, call, 'rindex', (t, s) => t.lastIndexOf(s))),
  count: (text, call) => {
    const part = new Bound('count', call, ['sub']).text('sub')
    return part === '' ? Array.from(text).length + 1 : text.split(part).length - 1
  },
  join: (text, call) => {
    const items = iterate(new Bound('join', call, ['iterable']).value('iterable'))
    return items
      .map((item, i) => {
        if (typeof item === 'string') return item
        throw typeError(`sequence item ${i}: expected str instance, ${typeName(item)} found`)
      })
      .join(text)
  },
  format: (text, { args, named }) => braceFormat(text, args, named),
  format_map: (text, call) => {
    const mapping = new Bound('format_map', call, ['mapping']).value('mapping')
    if (!isDict(mapping)) throw typeError('format_map() argument must be a mapping')
    return braceFormat(text, [], new Map([...mapping].map(([k, v]) => [String(k), v])))
  },
  zfill: (text, call) => {
    const width = new Bound('zfill', call, ['width']).integer('width')
    const sign = /^[-+]/.exec(text)?.[0] ?? ''
    return sign + text.slice(sign.length).padStart(width - sign.length, '0')
  },
  ljust: (text, call) =>
    justify(text, call, 'ljust', (all, width, fill) => all.padEnd(width, fill)),
  rjust: (text, call) =>
    justify(text, call, 'rjust', (all, width, fill) => all.padStart(width, fill)),
  center: (text, call) => justify(text, call, 'center', centerText),
  expandtabs: (text, call) => {
    const size = new Bound('expandtabs', call, ['tabsize']).integer('tabsize', 8)
    return text.replace(/([^\t\n]*)\t/g, (_, before: string) =>
      before.padEnd(before.length + size - (before.length % size)),
    )
  },
  isalpha: text => /^\p{L}+$/u.test(text),
  isdigit: text => /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2089]+$/u.test(text),
  isdecimal: text => /^\p{Nd}+$/u.test(text),
  isnumeric: text => /^\p{N}+$/u.test(text),
  isalnum: text => /^[\p{L}\p{N}]+$/u.test(text),
  isspace: text => new RegExp(`^[${pythonSpace}]+$`).test(text),
  isupper: text => /\p{L}/u.test(text) && text === text.toUpperCase(),
  islower: text => /\p{L}/u.test(text) && text === text.toLowerCase(),
  istitle: text => /\p{L}/u.test(text) && text === titleCase(text),
  isascii: text => /^[\0-\x7f]*$/.test(text),
  isidentifier: text => /^[\p{L}_][\p{L}\p{N}\p{M}_]*$/u.test(text),
}

export function stringMethod(name: string): Method | undefined {
  return Object.hasOwn(methods, name) ? methods[name] : undefined
}

/** `str.replace`: all, or the first `count`. */
export function replaceText(text: string, from: string, to: string, count: number): string {
  if (count < 0) return text.replaceAll(from, () => to)
  const parts = from === '' ? ['', ...text, ''] : text.split(from)
  const head = parts.slice(0, count + 1).join(to)
  return parts.length > count + 1 ? [head, ...parts.slice(count + 1)].join(from) : head
}

function stripped(
  text: string,
  call: CallArguments,
  name: string,
  ends: { left: boolean; right: boolean },
): string {
  return strip(text, new Bound(name, call, ['chars']).optionalText('chars'), ends)
}

function split(text: string, call: CallArguments, name: 'split' | 'rsplit'): string[] {
  const args = new Bound(name, call, ['sep', 'maxsplit'])
  const separator = args.optionalText('sep')
  const limit = args.integer('maxsplit', -1)
  if (separator === '') throw valueError('empty separator')
  if (separator === null) return splitSpace(text, limit, name)
  const parts = text.split(separator)
  if (limit < 0 || parts.length <= limit + 1) return parts
  return name === 'split'
    ? [...parts.slice(0, limit), parts.slice(limit).join(separator)]
    : [parts.slice(0, parts.length - limit).join(separator), ...parts.slice(parts.length - limit)]
}

/** Runs of white space separate; what is left after `limit` splits keeps its spaces. */
function splitSpace(text: string, limit: number, name: 'split' | 'rsplit'): string[] {
  const matches = [...text.matchAll(words)]
  if (limit < 0 || matches.length <= limit + 1) return matches.map(match => match[0])
  if (name === 'split') {
    const rest = text.slice(matches[limit]?.index)
    return [...matches.slice(0, limit).map(match => match[0]), rest]
  }
  const kept = matches.slice(matches.length - limit)
  const last = matches[matches.length - limit - 1]
  const head = text.slice(0, (last?.index ?? 0) + (last?.[0].length ?? 0))
  return [head, ...kept.map(match => match[0])]
}

function separatorOf(call: CallArguments, name: string): string {
  const separator = new Bound(name, call, ['sep']).text('sep')
  if (separator === '') throw valueError('empty separator')
  return separator
}

function cut(text: string, at: number, separator: string): Tuple {
  return Tuple.fromItems([text.slice(0, at), separator, text.slice(at + separator.length)])
}

function affix(
  text: string,
  call: CallArguments,
  name: string,
  test: (text: string, affix: string) => boolean,
): boolean {
  const args = new Bound(name, call, ['affix', 'start', 'end'])
  const value = args.value('affix')
  const chars = args.has('start') ? Array.from(text) : []
  const subject = args.has('start')
    ? chars.slice(args.integer('start'), args.integer('end', chars.length)).join('')
    : text
  const candidates = value instanceof Tuple ? value : [value]
  return candidates.some(candidate => {
    if (typeof candidate === 'string') return test(subject, candidate)
    throw typeError(`${name} first arg must be str or a tuple of str, not ${typeName(candidate)}`)
  })
}

function search(
  text: string,
  call: CallArguments,
  name: string,
  find: (text: string, part: string) => number,
): number {
  const args = new Bound(name, call, ['sub', 'start', 'end'])
  const part = args.text('sub')
  const chars = Array.from(text)
  const start = args.integer('start', 0)
  const from = Math.max(0, start < 0 ? start + chars.length : start)
  const subject = chars.slice(from, args.integer('end', chars.length)).join('')
  const at = find(subject, part)
  return at < 0 ? -1 : from + Array.from(subject.slice(0, at)).length
}

function found(at: number): number {
  if (at < 0) throw valueError('substring not found')
  return at
}

function justify(
  text: string,
  call: CallArguments,
  name: string,
  pad: (text: string, width: number, fill: string) => string,
): string {
  const args = new Bound(name, call, ['width', 'fillchar'])
  // Widths count characters; surrogate pairs count twice in `padStart`.
  const width = args.integer('width') + text.length - Array.from(text).length
  return pad(text, width, args.text('fillchar', ' '))
}

/** `str.center`: an odd rest goes to the left when the width is odd. */
export function centerText(text: string, width: number, fill: string): string {
  const missing = Math.max(0, width - text.length)
  const left = Math.floor(missing / 2) + (missing & width & 1)
  return fill.repeat(left) + text + fill.repeat(missing - left)
}
