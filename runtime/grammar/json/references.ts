import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
import { GrammarError } from '../expr.ts'
import { mergeSchemas } from './mergeSchemas.ts'
import { asSchema, maxDepth, type Schema, schemasOf } from './schemaTypes.ts'

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

  /** The same, through references to references. */
  target(ref: string, depth = 0): Schema {
    if (depth > maxDepth) throw new GrammarError(`$ref "${ref}" refers to itself`)
    const schema = this.resolve(ref)
    const isOnlyRef =
      isObject(schema) && typeof schema.$ref === 'string' && Object.keys(schema).length === 1
    return isOnlyRef && typeof schema.$ref === 'string'
      ? this.target(schema.$ref, depth + 1)
      : schema
  }

  /** A schema without a reference at its top, and without `allOf`. @param path for errors */
  flat(schema: Schema, path: string, depth = 0): Schema {
    if (depth > maxDepth) throw new GrammarError(`${path} refers to itself`)
    if (!isObject(schema)) return schema
    const { $ref, allOf, ...rest } = schema
    let flat: Schema = rest
    if (typeof $ref === 'string')
      flat = mergeSchemas(this.flat(this.target($ref), path, depth + 1), flat, path)
    for (const part of schemasOf(allOf, path))
      flat = mergeSchemas(flat, this.flat(part, path, depth + 1), path)
    return flat
  }

  #collect(value: JsonValue | undefined, depth: number): void {
    if (typeof value !== 'object' || value === null || depth > maxDepth) return
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
