import { FileFormatError } from '../../weights/fileFormatError.ts'

export type JsonRecord = { [key: string]: unknown }

/** Typed access to parsed JSON of a model file; a wrong type is a FileFormatError that names the field. */
export class JsonReader {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** @throws FileFormatError when it is not JSON */
  parse(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause)
      throw this.error(`not valid JSON: ${detail}`, { cause })
    }
  }

  error(reason: string, options?: ErrorOptions): FileFormatError {
    return new FileFormatError(this.path, reason, options)
  }

  record(value: unknown, what: string): JsonRecord {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.error(`${what} is not an object`)
    }
    return value as JsonRecord
  }

  array(value: unknown, what: string): unknown[] {
    if (!Array.isArray(value)) throw this.error(`${what} is not an array`)
    return value
  }

  string(value: unknown, what: string): string {
    if (typeof value !== 'string') throw this.error(`${what} is not a string`)
    return value
  }

  boolean(value: unknown, what: string, fallback: boolean): boolean {
    if (value === undefined || value === null) return fallback
    if (typeof value !== 'boolean') throw this.error(`${what} is not a boolean`)
    return value
  }
}
