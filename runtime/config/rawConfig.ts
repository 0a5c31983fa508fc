import { z } from 'zod'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { UnsupportedModelError } from './unsupportedModelError.ts'

/**
 * The text model's part of a config.json (nulls dropped), or the same fields made from GGUF metadata, with where it came
 * from for error messages.
 */
export class RawConfig {
  readonly path: string
  readonly modelType: string
  readonly fields: Readonly<Record<string, unknown>>
  /** Where the fields lie in the file, for messages. */
  readonly #prefix: string

  constructor(
    path: string,
    modelType: string,
    fields: Readonly<Record<string, unknown>>,
    prefix = '',
  ) {
    this.path = path
    this.modelType = modelType
    this.fields = dropNulls(fields) as Record<string, unknown>
    this.#prefix = prefix
  }

  /** Fields checked and typed by a schema whose messages complete "must be". @throws FileFormatError */
  parse<Schema extends z.ZodType>(schema: Schema): z.output<Schema> {
    const result = schema.safeParse(this.fields)
    if (result.success) return result.data
    const issue = result.error.issues[0]
    const path = issue?.path ?? []
    const value = path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      this.fields,
    )
    throw this.error(path.join('.'), value, issue?.message ?? 'sound')
  }

  /** @param must completes "must be" */
  error(field: string, value: unknown, must: string): FileFormatError {
    const name = `"${this.#prefix}${field}"`
    const shown = JSON.stringify(value)?.slice(0, 200)
    const problem = value === undefined ? `${name} is missing` : `${name} is ${shown}`
    return new FileFormatError(this.path, `${problem}, must be ${must}`)
  }

  /** The same file, with values for the fields it leaves out. */
  withDefaults(defaults: Readonly<Record<string, unknown>>): RawConfig {
    return new RawConfig(this.path, this.modelType, { ...defaults, ...this.fields }, this.#prefix)
  }

  /** An object inside this one. */
  within(where: string, fields: Readonly<Record<string, unknown>>): RawConfig {
    return new RawConfig(this.path, this.modelType, fields, `${this.#prefix}${where}.`)
  }

  unsupported(reason: string): UnsupportedModelError {
    return new UnsupportedModelError(this.path, this.modelType, reason)
  }
}

function dropNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropNulls)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(entries.map(([key, field]) => [key, dropNulls(field)]))
}

/** An integer from `least` (default 1) to `most`. */
export function count(most: number, least = 1) {
  const error = `an integer from ${least} to ${most}`
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error })
}

/** A finite number greater than 0 and at most `most`. */
export function positive(most: number) {
  const error = `a number greater than 0 and at most ${most}`
  return z.number({ error }).gt(0, { error }).max(most, { error })
}

export function flag() {
  return z.boolean({ error: 'true or false' })
}

export function oneOf<const Values extends readonly string[]>(values: Values) {
  return z.enum(values, { error: `one of ${values.join(', ')}` })
}
