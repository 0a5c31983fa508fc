import type { JsonObject, JsonValue } from '../engine.ts'
import { isObject } from '../jsonObject.ts'

/**
 * A JSON schema without what says nothing to a reader: `$schema` and `$id`, names of properties that may be any string, and
 * `anyOf` where a list of types, or one longer `anyOf`, means the same.
 */
export function compactSchema(schema: JsonObject): JsonObject {
  return compact(schema) as JsonObject
}

function compact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(compact)
  if (!isObject(value)) return value
  const { $schema: _, $id: __, propertyNames: ___, ...rest } = value as JsonObject
  const schema = Object.fromEntries(Object.entries(rest).map(([key, v]) => [key, compact(v)]))
  return isUnion(schema) ? compactUnion(schema) : schema
}

type Union = JsonObject & { anyOf: JsonObject[] }

function isUnion(schema: JsonObject): schema is Union {
  return Array.isArray(schema.anyOf) && schema.anyOf.every(isObject)
}

function compactUnion({ anyOf, ...rest }: Union): JsonObject {
  const flat = anyOf.flatMap(option =>
    isUnion(option) && Object.keys(option).length === 1 ? option.anyOf : [option],
  )
  const [first, second, ...others] = flat
  const isNullable = first && second?.type === 'null' && others.length === 0
  // Other keywords than these only concern values of the one type.
  if (isNullable && typeof first.type === 'string' && !('enum' in first) && !('const' in first)) {
    return { ...rest, ...first, type: [first.type, 'null'] }
  }
  return { ...rest, anyOf: flat }
}
