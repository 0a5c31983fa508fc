import type { JsonObject, JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { GrammarError } from '../expr.ts'

/** A schema that is an object; `pattern` may have become a list by joining schemas. */
export type SchemaObject = JsonObject
export type Schema = SchemaObject | boolean

export const typeNames = [
  'null',
  'boolean',
  'integer',
  'number',
  'string',
  'array',
  'object',
] as const
export type TypeName = (typeof typeNames)[number]

/** Keywords that only hold for values of one type; a schema without `type` is of those its keywords speak of. */
export const keywordsOfType: Record<'number' | 'string' | 'array' | 'object', readonly string[]> = {
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  string: ['pattern', 'format', 'minLength', 'maxLength'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'additionalItems'],
  object: [
    'properties',
    'required',
    'additionalProperties',
    'patternProperties',
    'propertyNames',
    'minProperties',
    'maxProperties',
  ],
}

/** Schemas nested deeper than this are refused. */
export const maxDepth = 200

/** @throws GrammarError for what is no schema */
export function asSchema(value: JsonValue | undefined, path: string): Schema {
  if (typeof value === 'boolean') return value
  if (isObject(value)) return value
  throw new GrammarError(`${path} must be a schema: an object or a boolean`)
}

const counts = new Set([
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
])

/** A keyword's number, a whole one of at least 0 where it counts. */
export function numberOf(schema: SchemaObject, key: string, path: string): number | undefined {
  const value = schema[key]
  if (value === undefined) return undefined
  const isCount = counts.has(key)
  const isGood = typeof value === 'number' && (!isCount || (Number.isInteger(value) && value >= 0))
  if (!isGood) throw new GrammarError(`${path}/${key} must be a ${isCount ? 'count' : 'number'}`)
  return value
}

export function stringsOf(value: JsonValue | undefined, path: string): string[] {
  if (value === undefined) return []
  const list = Array.isArray(value) ? value : [value]
  return list.map(item => {
    if (typeof item !== 'string') throw new GrammarError(`${path} must be text`)
    return item
  })
}

export function schemasOf(value: JsonValue | undefined, path: string): Schema[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new GrammarError(`${path} must be a list of schemas`)
  return value.map((item, i) => asSchema(item, `${path}/${i}`))
}

export function schemaMapOf(value: JsonValue | undefined, path: string): Map<string, Schema> {
  if (value === undefined) return new Map()
  if (!isObject(value)) throw new GrammarError(`${path} must be an object of schemas`)
  return new Map(
    Object.entries(value).map(([key, item]) => [key, asSchema(item, `${path}/${key}`)]),
  )
}

/** The types a schema names, or those its keywords speak of; undefined when any is meant. */
export function typesOf(schema: SchemaObject, path: string): TypeName[] | undefined {
  if (schema.type !== undefined) {
    return stringsOf(schema.type, `${path}/type`).map(name => {
      const known = typeNames.find(type => type === name)
      if (known === undefined) throw new GrammarError(`${path}/type is "${name}", which is no type`)
      return known
    })
  }
  const spoken = (['object', 'array', 'string', 'number'] as const).filter(type =>
    keywordsOfType[type].some(key => schema[key] !== undefined),
  )
  return spoken.length === 0 ? undefined : spoken
}

export function deepEqual(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => deepEqual(item, b[i]))
  }
  if (!isObject(a) || !isObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every(key => Object.hasOwn(b, key) && deepEqual(a[key], b[key]))
  )
}

/** The error for what a grammar cannot say. @param what the keyword, by its path in the schema */
export function unenforceable(what: string): GrammarError {
  return new GrammarError(`the keyword ${what} cannot be enforced`)
}

/** Keywords that say what a grammar cannot, or only with an effort nobody has asked for yet. */
export const unsupportedKeywords = [
  'not',
  'if',
  'contains',
  'minContains',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  '$dynamicRef',
  '$recursiveRef',
]

const constraining = new Set([
  'type',
  'enum',
  'const',
  'anyOf',
  'oneOf',
  'allOf',
  '$ref',
  'uniqueItems',
  'unevaluatedItems',
  'unevaluatedProperties',
  ...unsupportedKeywords,
  ...Object.values(keywordsOfType).flat(),
])

/** Whether a schema says anything beyond notes for readers. */
export function constrains(schema: SchemaObject): boolean {
  return Object.keys(schema).some(key => constraining.has(key))
}
