import type { Value } from './values.ts'

/** Variables of a block; names it does not set are looked up outside of it. */
export class Scope {
  readonly #values = new Map<string, Value>()
  readonly #parent: Scope | undefined

  constructor(parent?: Scope) {
    this.#parent = parent
  }

  get(name: string): Value | undefined {
    const value = this.#values.get(name)
    return value === undefined ? this.#parent?.get(name) : value
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }
}
