import { z } from 'zod'
import { invalidRequest } from './errors.ts'

/**
 * Building blocks whose error text is the allowed range, so that `parseFields` can name field, value and range alike for
 * every kind of mistake.
 */
export const field = {
  boolean: () => z.boolean('a boolean'),
  string: () => z.string('a string'),
  number: (min: number, max: number) => {
    const hint = `a number between ${min} and ${max}`
    return z.number(hint).min(min, hint).max(max, hint)
  },
  integer: (min: number, max: number) => {
    const hint =
      max < Number.MAX_SAFE_INTEGER
        ? `an integer between ${min} and ${max}`
        : min > Number.MIN_SAFE_INTEGER
          ? `an integer of at least ${min}`
          : 'an integer'
    // Not `z.int()`: a 64-bit seed is an integer too, even where a double has lost its last digits.
    return z.number(hint).refine(Number.isInteger, hint).min(min, hint).max(max, hint)
  },
  positiveNumber: () => z.number('a number above 0').gt(0, 'a number above 0'),
  object: () => z.record(z.string(), z.unknown(), 'an object'),
  /** Checked by its user, who knows more than a type. */
  any: () => z.unknown().optional(),
}

/** An optional field; null means absent. */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform(value => value ?? undefined)
}

/** Checks `body` against `schema`; unknown fields are dropped. @throws ApiError 400 for the first mistake */
export function parseFields<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path ?? []
  throw invalidValue(jsonPath(path), valueAt(body, path), issue?.message ?? 'a valid value')
}

/** @param expected completes "Expected …" */
export function invalidValue(param: string, value: unknown, expected: string) {
  return value === undefined
    ? invalidRequest(
        param,
        `Missing required parameter: '${param}'. Expected ${expected}.`,
        'missing_required_parameter',
      )
    : invalidRequest(param, `Invalid value for '${param}': ${show(value)}. Expected ${expected}.`)
}

/** The fields of an object that are not undefined, for contracts where absent and undefined differ. */
export function defined<T extends object>(
  fields: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function jsonPath(path: PropertyKey[]): string {
  return path.reduce<string>((joined, key) => {
    if (typeof key === 'number') return `${joined}[${key}]`
    return joined === '' ? String(key) : `${joined}.${String(key)}`
  }, '')
}

function valueAt(body: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    body,
  )
}

const MAX_SHOWN = 80

/** A value short enough for a message. */
function show(value: unknown): string {
  if (Array.isArray(value) && value.length > MAX_SHOWN) return `an array of ${value.length}`
  if (isObject(value) && Object.keys(value).length > MAX_SHOWN) return 'a large object'
  let text: string
  try {
    text = JSON.stringify(value)
  } catch {
    // Nested deeper than the stack.
    return 'a deeply nested value'
  }
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
