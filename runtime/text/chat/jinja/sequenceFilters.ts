import { Bound } from './arguments.ts'
import { itemOf } from './attributes.ts'
import { typeError } from './errors.ts'
import { binary } from './operators.ts'
import type { Filter } from './textFilters.ts'
import {
  type CallArguments,
  compare,
  Group,
  isDict,
  isEqual,
  isTrue,
  iterate,
  lengthOf,
  orElse,
  Tuple,
  toText,
  Undefined,
  type Value,
} from './values.ts'

/** How filters apply other filters and tests by name. */
export interface FilterContext {
  filter(name: string, value: Value, call: CallArguments): Value
  test(name: string, value: Value, call: CallArguments): boolean
}

/** Filters of jinja2 (`filters.py`) that work on lists and mappings. */
export function sequenceFilters(context: FilterContext): Record<string, Filter> {
  return {
    length: lengthOf,
    count: lengthOf,
    list: value => [...iterate(value)],
    first: value =>
      orElse(iterate(value)[0], () => new Undefined('No first item, sequence was empty.')),
    last: value =>
      orElse(iterate(value).at(-1), () => new Undefined('No last item, sequence was empty.')),
    join: (value, call) => {
      const args = new Bound('join', call, ['d', 'attribute'])
      const get = getter(args.value('attribute', null))
      return iterate(value)
        .map(item => toText(get(item)))
        .join(toText(args.value('d', '')))
    },
    reverse: value =>
      typeof value === 'string'
        ? Array.from(value).reverse().join('')
        : [...iterate(value)].reverse(),
    sort: (value, call) => {
      const args = new Bound('sort', call, ['reverse', 'case_sensitive', 'attribute'])
      const keys = sortKeys(args.value('attribute', null), args.flag('case_sensitive', false))
      return stableSort(iterate(value), keys, args.flag('reverse', false))
    },
    unique: (value, call) => {
      const args = new Bound('unique', call, ['case_sensitive', 'attribute'])
      const key = caseKey(args)
      const seen: Value[] = []
      return iterate(value).filter(item => {
        const itemKey = key(item)
        if (seen.some(other => isEqual(other, itemKey))) return false
        seen.push(itemKey)
        return true
      })
    },
    min: (value, call) =>
      extreme(value, new Bound('min', call, ['case_sensitive', 'attribute']), -1),
    max: (value, call) =>
      extreme(value, new Bound('max', call, ['case_sensitive', 'attribute']), 1),
    sum: (value, call) => {
      const args = new Bound('sum', call, ['attribute', 'start'])
      const get = getter(args.value('attribute', null))
      return iterate(value).reduce(
        (total, item) => binary('+', total, get(item)),
        args.value('start', 0),
      )
    },
    map: (value, call) => iterate(value).map(mapper(call, context)),
    select: (value, call) => choose(value, call, context, true),
    reject: (value, call) => choose(value, call, context, false),
    selectattr: (value, call) => chooseByAttribute(value, call, context, true),
    rejectattr: (value, call) => chooseByAttribute(value, call, context, false),
    groupby: (value, call) => {
      const args = new Bound('groupby', call, ['attribute', 'default', 'case_sensitive'])
      return groupBy(value, args)
    },
    batch: (value, call) => {
      const args = new Bound('batch', call, ['linecount', 'fill_with'])
      return batch(iterate(value), args.integer('linecount'), args.value('fill_with', null))
    },
    slice: (value, call) => {
      const args = new Bound('slice', call, ['slices', 'fill_with'])
      return slices(iterate(value), args.integer('slices'), args.value('fill_with', null))
    },
    items: value => {
      if (value instanceof Undefined) return []
      if (!isDict(value)) throw typeError('Can only get item pairs from a mapping.')
      return [...value].map(pair => Tuple.fromItems(pair))
    },
    dictsort: (value, call) => {
      const args = new Bound('dictsort', call, ['case_sensitive', 'by', 'reverse'])
      if (!isDict(value)) throw typeError('dictsort needs a mapping')
      const at = args.text('by', 'key') === 'value' ? 1 : 0
      const fold = args.flag('case_sensitive', false) ? (v: Value) => v : foldCase
      const pairs = [...value].map(pair => Tuple.fromItems(pair))
      return stableSort(pairs, [p => fold(itemOf(p, at))], args.flag('reverse', false))
    },
  }
}

function foldCase(value: Value): Value {
  return typeof value === 'string' ? value.toLowerCase() : value
}

/** Reads `attribute=`: a name, a number, or a path of them with dots; null is the item itself. */
function getter(attribute: Value, fallback?: Value): (item: Value) => Value {
  if (attribute === null) return item => item
  const parts =
    typeof attribute === 'string'
      ? attribute.split('.').map(part => (/^\d+$/.test(part) ? Number(part) : part))
      : [attribute]
  return item => {
    let value = item
    for (const part of parts) {
      value = itemOf(value, part)
      if (value instanceof Undefined && fallback !== undefined) value = fallback
    }
    return value
  }
}

type Key = (item: Value) => Value

function sortKeys(attribute: Value, isCaseSensitive: boolean): Key[] {
  const fold: Key = isCaseSensitive ? value => value : foldCase
  const names = typeof attribute === 'string' ? attribute.split(',') : [attribute]
  return names.map(name => {
    const get = getter(name)
    return item => fold(get(item))
  })
}

function stableSort(items: Value[], keys: Key[], isReverse: boolean): Value[] {
  const sign = isReverse ? -1 : 1
  return Array.from(items).sort((a, b) => {
    for (const key of keys) {
      const order = compare(key(a), key(b))
      if (order !== 0) return sign * order
    }
    return 0
  })
}

function caseKey(args: Bound): Key {
  const get = getter(args.value('attribute', null))
  return args.flag('case_sensitive', false) ? get : item => foldCase(get(item))
}

function extreme(value: Value, args: Bound, sign: number): Value {
  const key = caseKey(args)
  const [first, ...rest] = iterate(value)
  if (first === undefined) return new Undefined('No aggregated item, sequence was empty.')
  return rest.reduce(
    (best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best),
    first,
  )
}

function mapper(call: CallArguments, context: FilterContext): (item: Value) => Value {
  if (call.args.length === 0 && call.named.has('attribute')) {
    const args = new Bound('map', call, ['attribute', 'default'])
    return getter(args.value('attribute'), args.has('default') ? args.value('default') : undefined)
  }
  const [name, ...rest] = call.args
  if (typeof name !== 'string') throw typeError('map requires a filter argument')
  return item => context.filter(name, item, { args: rest, named: call.named })
}

function choose(
  value: Value,
  call: CallArguments,
  context: FilterContext,
  wanted: boolean,
): Value[] {
  const test = tester(call.args, call.named, context)
  return iterate(value).filter(item => test(item) === wanted)
}

function chooseByAttribute(
  value: Value,
  call: CallArguments,
  context: FilterContext,
  wanted: boolean,
): Value[] {
  const [attribute, ...rest] = call.args
  if (attribute === undefined) throw typeError('Missing parameter for attribute name')
  const get = getter(attribute)
  const test = tester(rest, call.named, context)
  return iterate(value).filter(item => test(get(item)) === wanted)
}

function tester(
  args: Value[],
  named: Map<string, Value>,
  context: FilterContext,
): (item: Value) => boolean {
  const [name, ...rest] = args
  if (name === undefined) return isTrue
  if (typeof name !== 'string') throw typeError('the name of a test must be text')
  return item => context.test(name, item, { args: rest, named })
}

function groupBy(value: Value, args: Bound): Value[] {
  const fallback = args.value('default', null)
  const get = getter(args.value('attribute'), fallback === null ? undefined : fallback)
  const key: Key = args.flag('case_sensitive', false) ? get : item => foldCase(get(item))
  const groups: { key: Value; first: Value; items: Value[] }[] = []
  for (const item of stableSort(iterate(value), [key], false)) {
    const itemKey = key(item)
    const last = groups.at(-1)
    if (last && isEqual(last.key, itemKey)) last.items.push(item)
    else groups.push({ key: itemKey, first: get(item), items: [item] })
  }
  return groups.map(({ first, items }) => Group.from2(first, items))
}

function batch(items: Value[], size: number, fill: Value): Value[] {
  const out: Value[][] = []
  for (let i = 0; i < items.length; i += Math.max(1, size)) {
    out.push(items.slice(i, i + Math.max(1, size)))
  }
  const last = out.at(-1)
  while (last && fill !== null && last.length < size) last.push(fill)
  return out
}

function slices(items: Value[], count: number, fill: Value): Value[] {
  const size = Math.floor(items.length / count)
  const longer = items.length % count
  let at = 0
  return Array.from({ length: count }, (_, i) => {
    const end = at + size + (i < longer ? 1 : 0)
    const part = Array.from(items.slice(at, end))
    at = end
    if (fill !== null && i >= longer && longer > 0) part.push(fill)
    return part
  })
}
