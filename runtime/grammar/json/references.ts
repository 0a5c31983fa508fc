import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { GrammarError } from '../expr.ts'
import { asSchema, type Schema } from './schemaTypes.ts'

/** Finds what `$ref` names inside one document: JSON pointers, anchors, and ids. */
export class References {
  readonly #root: Schema
  readonly #named = new Map<string, Schema>()

  constructor(root: Schema) {
    this.#root = root
    this.#collect(root, 0)
  }

  /** @throws GrammarError for a reference to nothing, or out of the document */
  resolve(ref: string): Schema {
    const named = this.#named.get(ref)
    if (named !== undefined) return named
    const [base = '', fragment = ''] = ref.split('#', 2)
    const root = base === '' ? this.#root : this.#named.get(base)
    const isPointer = fragment === '' || fragment.startsWith('/')
    if (root === undefined || !isPointer) throw unresolved(ref)
    let at: JsonValue | undefined = root
    for (const part of fragment.split('/').slice(1)) {
      const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~')
      if (Array.isArray(at)) at = at[Number(key)]
      else at = isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined
    }
    if (at === undefined) throw unresolved(ref)
    return asSchema(at, ref)
  }

  #collect(value: JsonValue | undefined, depth: number): void {
    if (typeof value !== 'object' || value === null || depth > 200) return
    if (!Array.isArray(value)) {
      if (typeof value.$id === 'string') this.#named.set(value.$id.replace(/#$/, ''), value)
      if (typeof value.$anchor === 'string') this.#named.set(`#${value.$anchor}`, value)
    }
    for (const inner of Object.values(value)) this.#collect(inner, depth + 1)
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function unresolved(ref: string): GrammarError {
  return new GrammarError(`$ref "${ref}" names nothing in this schema`)
}
