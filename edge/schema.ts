import { z } from 'zod'
import { componentRef, type Shape } from './componentRef.ts'
import { invalidRequest } from './errors.ts'
import { isObject } from './jsonObject.ts'

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
    return z
      .number(hint)
      .refine(Number.isInteger, hint)
      .min(min, hint)
      .max(max, hint)
      .meta({ type: 'integer' })
  },
  positiveNumber: () => z.number('a number above 0').gt(0, 'a number above 0'),
  object: () => z.record(z.string(), z.unknown(), 'an object'),
  /** Text of one of these words. */
  oneOf: <const T extends readonly string[]>(...words: T) =>
    z.enum(words, `one of ${words.join(', ')}`),
  /** Checked by its user, who knows more than a type. @param shape describes it for clients */
  any: (shape?: Shape) => {
    const anything = z.unknown().optional()
    return shape === undefined ? anything : anything.meta({ $ref: componentRef(shape) })
  },
}

/** An optional field; null means absent. */
export function optional<T extends z.ZodType>(schema: T) {
  // Outside, so that a field that is absent, as most are, costs zod nothing: half the garbage of a chat request.
  return schema
    .nullable()
    .transform(value => value ?? undefined)
    .optional()
}

/**
 * Checks `body` against `schema`; unknown fields are dropped.
 * @param at where `body` is within the request
 * @throws ApiError 400 for the first mistake
 */
export function parseFields<T extends z.ZodType>(schema: T, body: unknown, at = ''): z.infer<T> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const { path, message } = issue ? mostTelling(issue) : { path: [], message: 'a valid value' }
  const param = jsonPath(at === '' ? path : [at, ...path])
  throw invalidValue(param, valueAt(body, path) ?? undefined, message)
}

type Issue = z.core.$ZodIssue

/** Of the shapes a value could have, the one it got furthest with, among those of its `type`; the first of equals. */
function mostTelling(issue: Issue): { path: PropertyKey[]; message: string } {
  const { path, message } = issue
  if (issue.code !== 'invalid_union') return { path, message }
  const ofType = issue.errors.filter(issues => !issues.some(isWrongType))
  const best = deepest(ofType) ?? deepest(issue.errors)
  return best ? { path: [...path, ...best.path], message: best.message } : { path, message }
}

/** Undefined when the value is of none of the shapes at all. */
function deepest(shapes: Issue[][]) {
  const [best] = shapes
    .flatMap(([first]) => (first ? mostTelling(first) : []))
    .toSorted((a, b) => b.path.length - a.path.length)
  return best !== undefined && best.path.length > 0 ? best : undefined
}

function isWrongType({ code, path }: Issue): boolean {
  return code === 'invalid_value' && path.length === 1 && path[0] === 'type'
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
