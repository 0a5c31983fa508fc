import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { GrammarError } from '../expr.ts'
import {
  asSchema,
  deepEqual,
  type Schema,
  type SchemaObject,
  schemaMapOf,
  schemasOf,
  stringsOf,
} from './schemaTypes.ts'

const largest = new Set(['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'])
const smallest = new Set(['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'])
/** Say nothing about which values are valid. */
const annotations = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$defs',
  'definitions',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
])
const maxAlternatives = 256

/**
 * One schema for the values that are valid for both.
 * @throws GrammarError for keywords that cannot be joined
 */
export function mergeSchemas(a: Schema, b: Schema, path: string): Schema {
  if (a === false || b === false) return false
  if (a === true) return b
  if (b === true) return a
  const merged: SchemaObject = { ...a }
  for (const [key, value] of Object.entries(b)) {
    const mine = a[key]
    if (annotations.has(key)) continue
    if (key === 'const' && mine !== undefined && !deepEqual(mine, value)) return false
    if (mine === undefined || deepEqual(mine, value)) merged[key] = value
    else merged[key] = mergeKeyword(key, mine, value, path)
  }
  const properties = mergeProperties(a, b, path)
  if (properties !== undefined) merged.properties = properties
  return merged
}

function mergeKeyword(key: string, a: JsonValue, b: JsonValue, path: string): JsonValue {
  if (typeof a === 'number' && typeof b === 'number') {
    if (largest.has(key)) return Math.max(a, b)
    if (smallest.has(key)) return Math.min(a, b)
    if (key === 'multipleOf' && Number.isInteger(a) && Number.isInteger(b)) {
      return (a / greatestDivisor(a, b)) * b
    }
  }
  const at = `${path}/${key}`
  switch (key) {
    case 'type':
      return commonTypes(stringsOf(a, at), stringsOf(b, at))
    case 'enum':
      return asList(a).filter(value => asList(b).some(other => deepEqual(value, other)))
    case 'required':
      return [...new Set([...stringsOf(a, at), ...stringsOf(b, at)])]
    case 'pattern':
      return [...stringsOf(a, at), ...stringsOf(b, at)]
    case 'properties':
      return a
    case 'patternProperties': {
      const all = schemaMapOf(a, at)
      for (const [pattern, schema] of schemaMapOf(b, at)) {
        all.set(pattern, mergeSchemas(all.get(pattern) ?? true, schema, at))
      }
      return Object.fromEntries(all)
    }
    case 'items':
    case 'additionalProperties':
    case 'propertyNames':
      return mergeSchemas(asSchema(a, at), asSchema(b, at), at)
    case 'prefixItems':
      return zip(schemasOf(a, at), schemasOf(b, at)).map(([x, y]) =>
        mergeSchemas(x ?? true, y ?? true, at),
      )
    case 'allOf':
      return [...asList(a), ...asList(b)]
    case 'anyOf':
    case 'oneOf': {
      const pairs = schemasOf(a, at).flatMap(x =>
        schemasOf(b, at).map((y): JsonValue => ({ allOf: [x, y] })),
      )
      if (pairs.length > maxAlternatives) throw new GrammarError(`${at} has too many alternatives`)
      return pairs
    }
  }
  throw new GrammarError(`${at} is given twice, in ways that cannot be joined`)
}

/** A property that only one side names must still be allowed by the other. */
function mergeProperties(a: SchemaObject, b: SchemaObject, path: string) {
  if (a.properties === undefined && b.properties === undefined) return undefined
  const mine = schemaMapOf(a.properties, `${path}/properties`)
  const theirs = schemaMapOf(b.properties, `${path}/properties`)
  const merged: [string, Schema][] = []
  for (const name of new Set([...mine.keys(), ...theirs.keys()])) {
    const left = mine.get(name) ?? unnamed(a, name, path)
    const right = theirs.get(name) ?? unnamed(b, name, path)
    merged.push([name, mergeRefs(left, right, path)])
  }
  return Object.fromEntries(merged)
}

/** References stay references until the property itself is built: they may be recursive. */
function mergeRefs(a: Schema, b: Schema, path: string): Schema {
  if (deepEqual(a, b)) return a
  const isRef = (s: Schema) => isObject(s) && s.$ref !== undefined
  if ((isRef(a) && b !== true) || (isRef(b) && a !== true)) {
    return a === false || b === false ? false : { allOf: [a, b] }
  }
  return mergeSchemas(a, b, path)
}

/** What a schema says of a property it does not name. */
export function unnamed(schema: SchemaObject, name: string, path: string): Schema {
  let found: Schema = true
  let matched = false
  for (const [pattern, value] of schemaMapOf(
    schema.patternProperties,
    `${path}/patternProperties`,
  )) {
    if (!patternOf(pattern, path).test(name)) continue
    matched = true
    found = mergeSchemas(found, value, path)
  }
  if (matched || schema.additionalProperties === undefined) return found
  return asSchema(schema.additionalProperties, `${path}/additionalProperties`)
}

/** @throws GrammarError when it is no regular expression */
export function patternOf(pattern: string, path: string): RegExp {
  try {
    return new RegExp(pattern, 'u')
  } catch (error) {
    throw new GrammarError(`${path}: ${error instanceof Error ? error.message : error}`)
  }
}

function commonTypes(a: string[], b: string[]): string[] {
  const covers = (types: string[], type: string) =>
    types.includes(type) || (type === 'integer' && types.includes('number'))
  return [
    ...a.filter(type => covers(b, type)),
    ...b.filter(type => !a.includes(type) && covers(a, type)),
  ]
}

function asList(value: JsonValue): JsonValue[] {
  return Array.isArray(value) ? value : [value]
}

function zip<T>(a: readonly T[], b: readonly T[]): [T | undefined, T | undefined][] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
