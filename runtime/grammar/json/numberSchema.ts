import { type Expr, GrammarError } from '../expr.ts'
import {
  anyInteger,
  anyNumber,
  integerEnds,
  integersBetween,
  multiplesBetween,
  type NumberRange,
  numbersBetween,
} from './numbers.ts'
import { numberOf, type SchemaObject, unenforceable } from './schemaTypes.ts'
import type { RuleScope } from './strings.ts'

/**
 * The numbers that a schema allows. Multiples of a power of ten below 1 are those with so many digits after the point, whatever
 * binary fractions make of them.
 * @throws GrammarError for other steps that are no integer, and for those with too many remainders
 */
export function numberSchema(
  type: 'integer' | 'number',
  schema: SchemaObject,
  path: string,
  { define, name }: RuleScope,
): Expr {
  const range = numberRange(schema, path)
  const isOpen = Object.keys(range).length === 0
  const step = numberOf(schema, 'multipleOf', path)
  if (step === undefined) {
    if (type === 'integer') return isOpen ? anyInteger : integersBetween(...integerEnds(range))
    return isOpen ? anyNumber : numbersBetween(range)
  }
  if (step <= 0) throw new GrammarError(`${path}/multipleOf must be above 0`)
  if (type === 'number' && /^0\.0*1$|^1e-\d+$/.test(String(step))) {
    const digits = Math.round(-Math.log10(step))
    return numbersBetween(onGrid(range, digits), digits)
  }
  if (!Number.isInteger(step) && !(type === 'integer' && Number.isInteger(1 / step))) {
    throw unenforceable(`${path}/multipleOf ${step}`)
  }
  const [low, high] = integerEnds(range)
  if (!Number.isInteger(step) || step === 1) return integersBetween(low, high)
  const multiples = multiplesBetween(low, high, BigInt(step), define, name)
  if (multiples === undefined) throw unenforceable(`${path}/multipleOf ${step}`)
  return multiples
}

/** Ends with no more digits after the point than numbers may have. */
function onGrid(range: NumberRange, digits: number): NumberRange {
  const scale = 10 ** digits
  const isOn = (value: number) => Number.isInteger(Number((value * scale).toPrecision(15)))
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = range
  const low = [minimum, above !== undefined && !isOn(above) ? above : undefined]
  const high = [maximum, below !== undefined && !isOn(below) ? below : undefined]
  const lows = low.filter(value => value !== undefined)
  const highs = high.filter(value => value !== undefined)
  const up = (value: number) => (isOn(value) ? value : Math.ceil(value * scale) / scale)
  const down = (value: number) => (isOn(value) ? value : Math.floor(value * scale) / scale)
  return {
    ...(lows.length > 0 && { minimum: up(Math.max(...lows)) }),
    ...(highs.length > 0 && { maximum: down(Math.min(...highs)) }),
    ...(above !== undefined && isOn(above) && { exclusiveMinimum: above }),
    ...(below !== undefined && isOn(below) && { exclusiveMaximum: below }),
  }
}

function numberRange(schema: SchemaObject, path: string): NumberRange {
  const range: NumberRange = {}
  for (const key of ['minimum', 'maximum'] as const) {
    const value = numberOf(schema, key, path)
    const exclusive = key === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum'
    // Draft 4 says with a boolean whether the end belongs to the range.
    if (typeof schema[exclusive] === 'boolean') {
      if (value !== undefined) range[schema[exclusive] ? exclusive : key] = value
      continue
    }
    if (value !== undefined) range[key] = value
    const excluded = numberOf(schema, exclusive, path)
    if (excluded !== undefined) range[exclusive] = excluded
  }
  return range
}
