import { Bound } from './arguments.ts'
import { binary } from './operators.ts'
import {
  type CallArguments,
  Callable,
  compare,
  contains,
  Float,
  isDict,
  isEqual,
  numberOf,
  TemplateObject,
  toText,
  Undefined,
  type Value,
} from './values.ts'

type Test = (value: Value, call: CallArguments) => boolean

const other = (name: string, call: CallArguments) => new Bound(name, call, ['other']).value('other')
const equal: Test = (value, call) => isEqual(value, other('eq', call))
const unequal: Test = (value, call) => !isEqual(value, other('ne', call))
const less: Test = (value, call) => compare(value, other('lt', call), '<') < 0
const lessOrEqual: Test = (value, call) => compare(value, other('le', call), '<=') <= 0
const greater: Test = (value, call) => compare(value, other('gt', call), '>') > 0
const greaterOrEqual: Test = (value, call) => compare(value, other('ge', call), '>=') >= 0

/** Tests of jinja2 (`tests.py`). */
export const tests: Record<string, Test> = {
  defined: value => !(value instanceof Undefined),
  undefined: value => value instanceof Undefined,
  none: value => value === null,
  boolean: value => typeof value === 'boolean',
  true: value => value === true,
  false: value => value === false,
  string: value => typeof value === 'string',
  number: value => numberOf(value) !== undefined,
  integer: value => typeof value === 'number',
  float: value => value instanceof Float,
  mapping: value => isDict(value),
  iterable: value => isSequence(value),
  sequence: value => isSequence(value),
  callable: value =>
    value instanceof Callable || (value instanceof TemplateObject && value.call !== undefined),
  odd: value => isEqual(binary('%', value, 2), 1),
  even: value => isEqual(binary('%', value, 2), 0),
  divisibleby: (value, call) =>
    isEqual(binary('%', value, new Bound('divisibleby', call, ['num']).value('num')), 0),
  lower: value => isCased(toText(value), text => text.toLowerCase()),
  upper: value => isCased(toText(value), text => text.toUpperCase()),
  sameas: (value, call) => {
    const second = other('sameas', call)
    return typeof value === 'object' && value !== null
      ? value === second
      : typeof value === typeof second && isEqual(value, second)
  },
  in: (value, call) => contains(new Bound('in', call, ['seq']).value('seq'), value),
  escaped: () => false,
  eq: equal,
  equalto: equal,
  '==': equal,
  ne: unequal,
  '!=': unequal,
  lt: less,
  lessthan: less,
  '<': less,
  le: lessOrEqual,
  '<=': lessOrEqual,
  gt: greater,
  greaterthan: greater,
  '>': greater,
  ge: greaterOrEqual,
  '>=': greaterOrEqual,
}

function isSequence(value: Value): boolean {
  return (
    typeof value === 'string' || Array.isArray(value) || isDict(value) || value instanceof Undefined
  )
}

function isCased(text: string, toCase: (text: string) => string): boolean {
  return /\p{L}/u.test(text) && text === toCase(text)
}
