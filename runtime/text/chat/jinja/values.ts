import { typeError, undefinedError, valueError } from './errors.ts'
import { floatText, stringRepr } from './pythonText.ts'

/** A Python float: kept apart from integers, which are plain numbers, because they print and divide differently. */
export class Float {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export class Tuple extends Array<Value> {
  static override get [Symbol.species]() {
    return Array
  }

  static fromItems(items: Iterable<Value>): Tuple {
    const tuple = new Tuple()
    for (const item of items) tuple.push(item)
    return tuple
  }
}

/** A group of the filter `groupby`: a pair whose parts also have names. */
export class Group extends Tuple {
  static from2(grouper: Value, list: Value[]): Group {
    const group = new Group()
    group.push(grouper, list)
    return group
  }

  attribute(name: string): Value | undefined {
    return name === 'grouper' ? this[0] : name === 'list' ? this[1] : undefined
  }
}

/** A name, attribute or item that does not exist: empty when printed or looped over, an error when used. */
export class Undefined {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }

  fail(): never {
    throw undefinedError(this.message)
  }
}

export interface CallArguments {
  args: Value[]
  named: Map<string, Value>
}

/** Something a template can call. */
export class Callable {
  readonly name: string
  readonly call: (args: CallArguments) => Value

  constructor(name: string, call: (args: CallArguments) => Value) {
    this.name = name
    this.call = call
  }
}

/** An object with attributes: `loop`, a namespace, a joiner. */
export abstract class TemplateObject {
  /** Name of its class, for messages. */
  abstract readonly typeName: string
  abstract attribute(name: string): Value | undefined
  call?(args: CallArguments): Value
}

export class Namespace extends TemplateObject {
  readonly typeName = 'jinja2.utils.Namespace'
  readonly values: Map<string, Value>

  constructor(values: Map<string, Value>) {
    super()
    this.values = values
  }

  attribute(name: string): Value | undefined {
    return this.values.get(name)
  }
}

export type Dict = Map<Value, Value>
export type Value =
  | null
  | boolean
  | number
  | Float
  | string
  | Value[]
  | Dict
  | Undefined
  | Callable
  | TemplateObject

/** `value`, or what `fallback` makes where there is none; None is a value. */
export function orElse(value: Value | undefined, fallback: () => Value): Value {
  return value === undefined ? fallback() : value
}

/** Plain JSON as template values. */
export function fromJson(value: unknown): Value {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isInteger(value) ? value : new Float(value)
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value === 'object') {
    return new Map(Object.entries(value).map(([key, entry]) => [key, fromJson(entry)]))
  }
  return new Undefined('value is undefined')
}

export function isDict(value: Value): value is Dict {
  return value instanceof Map
}

/** int, float or bool as a number. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof Float ? value.value : undefined
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  if (typeof value === 'string') return 'str'
  if (value instanceof Float) return 'float'
  if (value instanceof Tuple) return 'tuple'
  if (Array.isArray(value)) return 'list'
  if (isDict(value)) return 'dict'
  if (value instanceof Undefined) return 'Undefined'
  return value instanceof Callable ? 'function' : value.typeName
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false
  if (typeof value === 'boolean') return value
  if (typeof value === 'string' || Array.isArray(value)) return value.length > 0
  if (isDict(value)) return value.size > 0
  const number = numberOf(value)
  return number === undefined || number !== 0
}

/** Python's `str(value)`. */
export function toText(value: Value): string {
  if (typeof value === 'string') return value
  return value instanceof Undefined ? '' : repr(value)
}

/** Python's `repr(value)`. */
export function repr(value: Value): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'string') return stringRepr(value)
  if (typeof value === 'number') return integerText(value)
  if (value instanceof Float) return floatText(value.value)
  if (value instanceof Tuple) {
    return value.length === 1 ? `(${repr(value[0] ?? null)},)` : `(${value.map(repr).join(', ')})`
  }
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`
  if (isDict(value)) {
    const entries = [...value].map(([key, entry]) => `${repr(key)}: ${repr(entry)}`)
    return `{${entries.join(', ')}}`
  }
  if (value instanceof Undefined) return 'Undefined'
  return value instanceof Callable ? `<function ${value.name}>` : `<${value.typeName} object>`
}

function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString()
}

export function isEqual(a: Value, b: Value): boolean {
  const numberA = numberOf(a)
  if (numberA !== undefined) return numberA === numberOf(b)
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) &&
      a instanceof Tuple === b instanceof Tuple &&
      a.length === b.length &&
      a.every((item, i) => isEqual(item, b[i] ?? null))
    )
  }
  if (isDict(a)) {
    if (!isDict(b) || a.size !== b.size) return false
    for (const [key, value] of a) {
      const other = b.get(key)
      if (other === undefined || !isEqual(value, other)) return false
    }
    return true
  }
  if (a instanceof Undefined) return b instanceof Undefined
  return a === b
}

/** Negative, zero or positive. @throws JinjaError TypeError when the two have no order */
export function compare(a: Value, b: Value, symbol = '<'): number {
  const numberA = numberOf(a)
  const numberB = numberOf(b)
  if (numberA !== undefined && numberB !== undefined) return numberA - numberB
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const left = a[i] ?? null
      const right = b[i] ?? null
      if (!isEqual(left, right)) return compare(left, right, symbol)
    }
    return a.length - b.length
  }
  if (a instanceof Undefined) a.fail()
  if (b instanceof Undefined) b.fail()
  throw typeError(
    `'${symbol}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  )
}

/** Order of code points, not of UTF-16 units. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  const charsA = Array.from(a)
  const charsB = Array.from(b)
  for (let i = 0; i < Math.min(charsA.length, charsB.length); i++) {
    const difference = (charsA[i]?.codePointAt(0) ?? 0) - (charsB[i]?.codePointAt(0) ?? 0)
    if (difference !== 0) return difference
  }
  return charsA.length - charsB.length
}

export function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (item instanceof Undefined) item.fail()
    if (typeof item !== 'string') {
      throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    }
    return container.includes(item)
  }
  if (isDict(container)) return container.has(item)
  return iterate(container).some(entry => isEqual(entry, item))
}

/** The items a `for` loop sees. @throws JinjaError TypeError */
export function iterate(value: Value): Value[] {
  if (Array.isArray(value)) return value
  if (typeof value === 'string') return Array.from(value)
  if (isDict(value)) return [...value.keys()]
  if (value instanceof Undefined) return []
  throw typeError(`'${typeName(value)}' object is not iterable`)
}

/** Python's `len(value)`; strings count code points. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return isAstral(value) ? Array.from(value).length : value.length
  if (Array.isArray(value)) return value.length
  if (isDict(value)) return value.size
  if (value instanceof Undefined) return 0
  throw typeError(`object of type '${typeName(value)}' has no len()`)
}

function isAstral(text: string): boolean {
  return /[\ud800-\udbff]/.test(text)
}

/** `value[start:stop:step]` of text, lists and tuples. */
export function sliceOf(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) value.fail()
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw typeError(`'${typeName(value)}' object is not subscriptable`)
  }
  const items = typeof value === 'string' ? Array.from(value) : value
  const by = step === null ? 1 : indexOf(step)
  if (by === 0) throw valueError('slice step cannot be zero')
  const length = items.length
  const bound = (limit: Value, fallback: number) => {
    if (limit === null) return fallback
    const index = indexOf(limit)
    const at = index < 0 ? index + length : index
    return by > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1)
  }
  const from = bound(start, by > 0 ? 0 : length - 1)
  const to = bound(stop, by > 0 ? length : -1)
  const out: Value[] = []
  for (let i = from; by > 0 ? i < to : i > to; i += by) out.push(items[i] ?? null)
  if (typeof value === 'string') return out.join('')
  return value instanceof Tuple ? Tuple.fromItems(out) : out
}

function indexOf(value: Value): number {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Undefined) value.fail()
  throw typeError('slice indices must be integers or None or have an __index__ method')
}
