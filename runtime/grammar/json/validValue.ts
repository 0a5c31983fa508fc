import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { formatPatterns } from './formats.ts'
import { patternOf, unnamed } from './mergeSchemas.ts'
import {
  asSchema,
  deepEqual,
  numberOf,
  type Schema,
  type SchemaObject,
  schemaMapOf,
  schemasOf,
  stringsOf,
} from './schemaTypes.ts'

/** Whether one of a schema's listed values (`enum`, `const`) fulfils its other keywords; references are resolved by `resolve`. */
export function isValid(
  schema: Schema,
  value: JsonValue,
  resolve: (ref: string) => Schema,
  path: string,
): boolean {
  if (typeof schema === 'boolean') return schema
  const valid = (part: Schema, inner: JsonValue) => isValid(part, inner, resolve, path)
  if (typeof schema.$ref === 'string' && !valid(resolve(schema.$ref), value)) return false
  if (schema.const !== undefined && !deepEqual(schema.const, value)) return false
  if (Array.isArray(schema.enum) && !schema.enum.some(v => deepEqual(v, value))) return false
  const types = schema.type === undefined ? undefined : stringsOf(schema.type, path)
  if (types !== undefined && !types.some(type => isOfType(type, value))) return false
  if (!schemasOf(schema.allOf, path).every(part => valid(part, value))) return false
  const anyOf = schemasOf(schema.anyOf, path)
  if (anyOf.length > 0 && !anyOf.some(part => valid(part, value))) return false
  const oneOf = schemasOf(schema.oneOf, path)
  if (oneOf.length > 0 && oneOf.filter(part => valid(part, value)).length !== 1) return false
  if (schema.not !== undefined && valid(asSchema(schema.not, path), value)) return false
  if (typeof value === 'number') return isNumberValid(schema, value, path)
  if (typeof value === 'string') return isStringValid(schema, value, path)
  if (Array.isArray(value)) return isArrayValid(schema, value, valid, path)
  return !isObject(value) || isObjectValid(schema, value, valid, path)
}

function isOfType(type: string, value: JsonValue): boolean {
  if (type === 'null') return value === null
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isObject(value)
  return typeof value === type
}

function isNumberValid(schema: SchemaObject, value: number, path: string): boolean {
  const bound = (key: string) => numberOf(schema, key, path)
  const step = bound('multipleOf')
  return (
    value >= (bound('minimum') ?? -Infinity) &&
    value <= (bound('maximum') ?? Infinity) &&
    value > (bound('exclusiveMinimum') ?? -Infinity) &&
    value < (bound('exclusiveMaximum') ?? Infinity) &&
    (step === undefined || Number.isInteger(value / step))
  )
}

function isStringValid(schema: SchemaObject, value: string, path: string): boolean {
  const length = Array.from(value).length
  const format = typeof schema.format === 'string' ? formatPatterns[schema.format] : undefined
  return (
    length >= (numberOf(schema, 'minLength', path) ?? 0) &&
    length <= (numberOf(schema, 'maxLength', path) ?? Infinity) &&
    stringsOf(schema.pattern, path).every(pattern => patternOf(pattern, path).test(value)) &&
    (format === undefined || new RegExp(`^(${format})$`, 'u').test(value))
  )
}

function isArrayValid(
  schema: SchemaObject,
  value: JsonValue[],
  valid: (part: Schema, inner: JsonValue) => boolean,
  path: string,
): boolean {
  const prefix = Array.isArray(schema.items) ? schema.items : (schema.prefixItems ?? [])
  const first = schemasOf(prefix, path)
  const items = Array.isArray(schema.items) ? schema.additionalItems : schema.items
  const rest = items === undefined ? true : asSchema(items, path)
  return (
    value.length >= (numberOf(schema, 'minItems', path) ?? 0) &&
    value.length <= (numberOf(schema, 'maxItems', path) ?? Infinity) &&
    value.every((item, i) => valid(first[i] ?? rest, item)) &&
    (schema.uniqueItems !== true ||
      value.every((item, i) => value.slice(i + 1).every(other => !deepEqual(item, other))))
  )
}

function isObjectValid(
  schema: SchemaObject,
  value: { [key: string]: JsonValue },
  valid: (part: Schema, inner: JsonValue) => boolean,
  path: string,
): boolean {
  const properties = schemaMapOf(schema.properties, path)
  const entries = Object.entries(value)
  return (
    stringsOf(schema.required, path).every(name => Object.hasOwn(value, name)) &&
    entries.length >= (numberOf(schema, 'minProperties', path) ?? 0) &&
    entries.length <= (numberOf(schema, 'maxProperties', path) ?? Infinity) &&
    entries.every(([name, inner]) =>
      valid(properties.get(name) ?? unnamed(schema, name, path), inner),
    ) &&
    (schema.propertyNames === undefined ||
      entries.every(([name]) => valid(asSchema(schema.propertyNames, path), name)))
  )
}
