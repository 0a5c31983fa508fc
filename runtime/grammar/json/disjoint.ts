import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { deepEqual, type Schema, type SchemaObject, stringsOf, typesOf } from './schemaTypes.ts'

/** Two of the schemas that may both hold for one text; undefined when there are none. */
export function overlapping(schemas: readonly Schema[]): [number, number] | undefined {
  for (const [i, a] of schemas.entries()) {
    for (const [j, b] of schemas.entries()) if (i < j && !areDisjoint(a, b)) return [i, j]
  }
  return undefined
}

/** Whether no text written for one of the schemas is valid for the other; false when that cannot be told. */
function areDisjoint(a: Schema, b: Schema): boolean {
  if (a === false || b === false) return true
  if (a === true || b === true) return false
  const [mine, theirs] = [listed(a), listed(b)]
  if (mine !== undefined && theirs !== undefined) {
    return mine.every(value => theirs.every(other => !deepEqual(value, other)))
  }
  const [types, others] = [valueTypes(a), valueTypes(b)]
  if (types === undefined || others === undefined) return false
  const shared = types.filter(type => others.some(other => overlap(type, other)))
  if (shared.length === 0) return true
  return (
    shared.every(type => type === 'object') &&
    (discriminated(a, b) || (needsMore(a, b) && needsMore(b, a)))
  )
}

function listed(schema: SchemaObject): JsonValue[] | undefined {
  if (schema.const !== undefined) return [schema.const]
  return Array.isArray(schema.enum) ? schema.enum : undefined
}

function valueTypes(schema: SchemaObject): string[] | undefined {
  const values = listed(schema)
  if (values === undefined) return schema.type === undefined ? undefined : typesOf(schema, '')
  return values.map(value => {
    if (value === null) return 'null'
    if (Array.isArray(value)) return 'array'
    return typeof value
  })
}

function overlap(a: string, b: string): boolean {
  const wide = (type: string) => (type === 'integer' ? 'number' : type)
  return wide(a) === wide(b)
}

/** Both require a property whose values differ. */
function discriminated(a: SchemaObject, b: SchemaObject): boolean {
  const required = stringsOf(b.required, '')
  return stringsOf(a.required, '')
    .filter(name => required.includes(name))
    .some(name => {
      const [left, right] = [property(a, name), property(b, name)]
      return left !== undefined && right !== undefined && areDisjoint(left, right)
    })
}

/** `b` requires a property that is never written for `a`. */
function needsMore(a: SchemaObject, b: SchemaObject): boolean {
  const isClosed =
    a.patternProperties === undefined &&
    (a.additionalProperties === false ||
      (a.additionalProperties === undefined && isObject(a.properties)))
  const written = [
    ...(isObject(a.properties) ? Object.keys(a.properties) : []),
    ...stringsOf(a.required, ''),
  ]
  return isClosed && stringsOf(b.required, '').some(name => !written.includes(name))
}

function property(schema: SchemaObject, name: string): Schema | undefined {
  const found = isObject(schema.properties) ? schema.properties[name] : undefined
  return typeof found === 'boolean' || isObject(found) ? found : undefined
}
