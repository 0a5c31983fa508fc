import { typeError } from './errors.ts'
import { type CallArguments, Float, isTrue, numberOf, typeName, type Value } from './values.ts'

/** Binds the arguments of a call to parameter names, as Python does. */
export class Bound {
  readonly #values = new Map<string, Value>()
  readonly #callee: string

  /** @throws JinjaError TypeError for arguments too many, given twice or of unknown name */
  constructor(callee: string, { args, named }: CallArguments, parameters: readonly string[]) {
    this.#callee = callee
    if (args.length > parameters.length) {
      throw typeError(
        `${callee}() takes at most ${parameters.length} arguments (${args.length} given)`,
      )
    }
    for (const [i, value] of args.entries()) this.#values.set(parameters[i] ?? '', value)
    for (const [name, value] of named) {
      if (!parameters.includes(name)) {
        throw typeError(`${callee}() got an unexpected keyword argument '${name}'`)
      }
      if (this.#values.has(name)) {
        throw typeError(`${callee}() got multiple values for argument '${name}'`)
      }
      this.#values.set(name, value)
    }
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** The argument, or `fallback`; without one it is required. */
  value(name: string, fallback?: Value): Value {
    const value = this.#values.get(name) ?? (this.#values.has(name) ? null : fallback)
    if (value === undefined) {
      throw typeError(`${this.#callee}() missing 1 required positional argument: '${name}'`)
    }
    return value
  }

  text(name: string, fallback?: string): string {
    const value = this.value(name, fallback)
    if (typeof value !== 'string') {
      throw typeError(`${this.#callee}() argument '${name}' must be str, not ${typeName(value)}`)
    }
    return value
  }

  optionalText(name: string): string | null {
    return this.value(name, null) === null ? null : this.text(name)
  }

  integer(name: string, fallback?: number): number {
    const value = this.value(name, fallback)
    if (value instanceof Float || typeof value === 'string' || numberOf(value) === undefined) {
      throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`)
    }
    return numberOf(value) ?? 0
  }

  flag(name: string, fallback: boolean): boolean {
    return isTrue(this.value(name, fallback))
  }
}
