import { Bound } from './arguments.ts'
import { JinjaError, typeError, valueError } from './errors.ts'
import { stringMethod } from './stringMethods.ts'
import {
  type CallArguments,
  Callable,
  type Dict,
  Group,
  isDict,
  isEqual,
  orElse,
  TemplateObject,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** `value.name`: a method or attribute, else the item of that name. */
export function attributeOf(value: Value, name: string): Value {
  const attribute = ownAttribute(value, name)
  return orElse(attribute === undefined ? ownItem(value, name) : attribute, () =>
    missing(value, name),
  )
}

/** `value[key]`: the item, else the attribute of that name. */
export function itemOf(value: Value, key: Value): Value {
  const item = ownItem(value, key)
  if (item !== undefined) return item
  const attribute = typeof key === 'string' ? ownAttribute(value, key) : undefined
  return orElse(attribute, () => missing(value, key))
}

function missing(value: Value, key: Value): Undefined {
  if (value instanceof Undefined) value.fail()
  const owner = value === null ? 'None' : `'${typeName(value)} object'`
  return new Undefined(
    typeof key === 'string'
      ? `${owner} has no attribute '${key}'`
      : `${typeName(value)} object has no element ${typeof key === 'number' ? key : typeName(key)}`,
  )
}

function ownItem(value: Value, key: Value): Value | undefined {
  if (isDict(value)) return value.get(key)
  if (Array.isArray(value) && (typeof key === 'number' || typeof key === 'boolean')) {
    return value.at(Number(key))
  }
  if (typeof value === 'string' && typeof key === 'number') return Array.from(value).at(key)
  return undefined
}

function ownAttribute(value: Value, name: string): Value | undefined {
  if (typeof value === 'string') {
    const method = stringMethod(name)
    return method && new Callable(name, call => method(value, call))
  }
  if (value instanceof TemplateObject) return value.attribute(name)
  if (value instanceof Group) {
    const part = value.attribute(name)
    if (part !== undefined) return part
  }
  const kind = isDict(value) ? 'dict' : value instanceof Tuple ? 'tuple' : 'list'
  if (kind !== 'dict' && !Array.isArray(value)) return undefined
  if (mutators[kind].has(name)) {
    return new Callable(name, () => {
      throw new JinjaError(
        'SecurityError',
        `access to attribute '${name}' of '${kind}' object is unsafe.`,
      )
    })
  }
  if (isDict(value)) {
    const method = Object.hasOwn(dictMethods, name) ? dictMethods[name] : undefined
    return method && new Callable(name, call => method(value, call))
  }
  const method = Object.hasOwn(listMethods, name) ? listMethods[name] : undefined
  return method && Array.isArray(value)
    ? new Callable(name, call => method(value, call))
    : undefined
}

/** The sandbox of transformers is immutable: templates cannot change what they are given. */
const mutators = {
  dict: new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']),
  list: new Set(['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove']),
  tuple: new Set<string>(),
}

const dictMethods: Record<string, (dict: Dict, call: CallArguments) => Value> = {
  items: dict => [...dict].map(pair => Tuple.fromItems(pair)),
  keys: dict => [...dict.keys()],
  values: dict => [...dict.values()],
  get: (dict, call) => {
    const args = new Bound('get', call, ['key', 'default'])
    return orElse(dict.get(args.value('key')), () => args.value('default', null))
  },
  copy: dict => new Map(dict),
}

const listMethods: Record<string, (list: Value[], call: CallArguments) => Value> = {
  index: (list, call) => {
    const item = new Bound('index', call, ['value']).value('value')
    const at = list.findIndex(entry => isEqual(entry, item))
    if (at < 0) throw valueError('the item is not in the list')
    return at
  },
  count: (list, call) => {
    const item = new Bound('count', call, ['value']).value('value')
    return list.filter(entry => isEqual(entry, item)).length
  },
  copy: list => [...list],
}

/** Calls a value. @throws JinjaError when it cannot be called */
export function callValue(value: Value, call: CallArguments): Value {
  if (value instanceof Callable) return value.call(call)
  if (value instanceof TemplateObject && value.call) return value.call(call)
  if (value instanceof Undefined) value.fail()
  throw typeError(`'${typeName(value)}' object is not callable`)
}
