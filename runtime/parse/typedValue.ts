import type { JsonObject, JsonValue } from '../../edge/engine.ts'
import { isObject } from '../jsonObject.ts'

/** Schema of one parameter of a tool, undefined where none is declared. */
export function parameterSchema(
  schema: JsonObject | undefined,
  name: string,
): JsonObject | undefined {
  const properties = asObject(schema?.properties)
  return properties !== undefined && Object.hasOwn(properties, name)
    ? asObject(properties[name])
    : undefined
}

/** JSON schema types that a schema allows; undefined where it does not say. */
export function typesOf(schema: JsonObject | undefined): string[] | undefined {
  if (schema === undefined) return undefined
  const { type } = schema
  if (typeof type === 'string') return [type]
  if (Array.isArray(type)) return type.filter(t => typeof t === 'string')
  const variants = schema.anyOf ?? schema.oneOf
  if (Array.isArray(variants)) {
    const all = variants.map(variant => typesOf(asObject(variant)))
    return all.every(types => types !== undefined) ? [...new Set(all.flat())] : undefined
  }
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const])
  return Array.isArray(values) ? [...new Set(values.map(typeOf))] : undefined
}

/**
 * JSON for a value that a format writes without types: JSON as it stands where the text is JSON of an allowed type, else a string.
 * Numbers and lists keep their digits and spaces.
 * @param types as from `typesOf`
 */
export function jsonFromText(text: string, types: string[] | undefined): string {
  const trimmed = text.trim()
  const json = types === undefined ? trimmed : (pythonWords.get(trimmed) ?? trimmed)
  const type = typeOfJson(json)
  if (type === undefined) return JSON.stringify(text)
  return !types?.includes('string') || isAllowed(type, types) ? json : JSON.stringify(text)
}

/** What Python calls them; models say it where a type asks for them. */
const pythonWords = new Map([
  ['True', 'true'],
  ['False', 'false'],
  ['None', 'null'],
])

/** Beside strings: a text in quotes stays the text with its quotes. */
function isAllowed(type: string, types: string[]): boolean {
  if (type === 'string') return false
  return types.includes(type) || (type === 'integer' && types.includes('number'))
}

function typeOfJson(text: string): string | undefined {
  try {
    return typeOf(JSON.parse(text))
  } catch {
    return undefined
  }
}

function typeOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function asObject(value: JsonValue | undefined): JsonObject | undefined {
  return isObject(value) ? value : undefined
}
