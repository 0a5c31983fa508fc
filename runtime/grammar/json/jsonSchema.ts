import type { JsonValue } from '../../../edge/engine.ts'
import {
  charClass,
  choice,
  type Expr,
  GrammarError,
  type GrammarRules,
  never,
  optional,
  repeat,
  rule,
  seq,
  text,
} from '../expr.ts'
import { arraySchema } from './arraySchema.ts'
import { overlapping } from './disjoint.ts'
import { jsonValue } from './jsonValue.ts'
import type { Lowering } from './lowering.ts'
import { mergeSchemas } from './mergeSchemas.ts'
import { numberSchema } from './numberSchema.ts'
import { anyNumber } from './numbers.ts'
import { objectSchema } from './objectSchema.ts'
import { References } from './references.ts'
import {
  constrains,
  maxDepth,
  type Schema,
  type SchemaObject,
  schemasOf,
  type TypeName,
  typesOf,
  unenforceable,
  unsupportedKeywords,
} from './schemaTypes.ts'
import { jsonString, type RuleScope, stringRules } from './strings.ts'
import { jsonSyntax, type ValueSyntax } from './syntax.ts'
import { isValid } from './validValue.ts'

/**
 * The JSON texts that are valid for a schema (drafts 4 to 2020-12). Objects hold their declared properties in the declared
 * order, and others only where the schema speaks of them or declares none.
 * @throws GrammarError that names the place in the schema
 */
export function lowerJsonSchema(
  schema: Schema,
  prefix = '',
  syntax: ValueSyntax = jsonSyntax,
): GrammarRules {
  return lowerPartOfSchema(schema, schema, prefix, syntax)
}

/** The same for a schema that stands in another one, whose definitions it may refer to. */
export function lowerPartOfSchema(
  whole: Schema,
  part: Schema,
  prefix: string,
  syntax: ValueSyntax,
): GrammarRules {
  const lowering = new SchemaLowering(whole, prefix, syntax)
  const root = `${prefix}json`
  lowering.rules.set(root, lowering.lower(part, '#', 0))
  return { root, rules: lowering.rules }
}

/** Any JSON object. */
export function lowerJsonObject(): GrammarRules {
  return lowerJsonSchema({ type: 'object' })
}

class SchemaLowering implements Lowering {
  readonly rules = new Map<string, Expr>()
  readonly syntax: ValueSyntax
  readonly references: References
  readonly #prefix: string
  #numRules = 0

  constructor(root: Schema, prefix: string, syntax: ValueSyntax) {
    this.references = new References(root)
    this.#prefix = prefix
    this.syntax = syntax
  }

  lower(schema: Schema, path: string, depth: number): Expr {
    if (depth > maxDepth) throw new GrammarError(`${path} is nested too deeply`)
    if (schema === true) return this.#anyValue()
    if (schema === false) return never
    for (const key of unsupportedKeywords) {
      if (schema[key] !== undefined) throw unenforceable(`${path}/${key}`)
    }
    const { $ref, allOf, ...rest } = schema
    if (typeof $ref === 'string') {
      if (!constrains({ ...rest, ...(allOf !== undefined && { allOf }) }))
        return this.#reference($ref, depth)
      const { $ref: _, ...siblings } = schema
      return this.lower(mergeSchemas(this.references.target($ref), siblings, path), path, depth + 1)
    }
    if (allOf !== undefined) {
      const merged = schemasOf(allOf, `${path}/allOf`).reduce<Schema>(
        (all, part) => mergeSchemas(all, this.references.flat(part, path), path),
        rest,
      )
      return this.lower(merged, path, depth + 1)
    }
    if (schema.const !== undefined || schema.enum !== undefined) return this.#values(schema, path)
    if (schema.anyOf !== undefined || schema.oneOf !== undefined)
      return this.#alternatives(schema, path, depth)
    const types = typesOf(schema, path)
    if (types === undefined) return this.#anyValue()
    return choice(...withoutIntegers(types).map(type => this.#typed(type, schema, path, depth)))
  }

  #typed(type: TypeName, schema: SchemaObject, path: string, depth: number): Expr {
    switch (type) {
      case 'null':
        return text('null')
      case 'boolean':
        return choice(text('true'), text('false'))
      case 'integer':
      case 'number':
        return numberSchema(type, schema, path, this.scope())
      case 'string':
        return jsonString(stringRules(schema, path), this.scope())
      case 'array':
        return arraySchema(schema, path, depth, this)
      case 'object':
        return objectSchema(schema, path, depth, this)
    }
  }

  /** The rule of what a reference names, built once, however often and deep it is named. */
  #reference(ref: string, depth: number): Expr {
    const name = `${this.#prefix}${ref}`
    if (!this.rules.has(name)) {
      this.rules.set(name, never)
      this.rules.set(name, this.lower(this.references.target(ref), ref, depth + 1))
    }
    return rule(name)
  }

  #values(schema: SchemaObject, path: string): Expr {
    const values: JsonValue[] = schema.const !== undefined ? [schema.const] : []
    if (schema.const === undefined) {
      if (!Array.isArray(schema.enum)) throw new GrammarError(`${path}/enum must be a list`)
      values.push(...schema.enum)
    }
    const resolve = (ref: string) => this.references.resolve(ref)
    const valid = values.filter(value => isValid(schema, value, resolve, path))
    return choice(...valid.map(value => jsonValue(value, this.syntax)))
  }

  #alternatives(schema: SchemaObject, path: string, depth: number): Expr {
    const { anyOf, oneOf, ...rest } = schema
    const only = anyOf === undefined || oneOf === undefined
    const key = oneOf === undefined ? 'anyOf' : 'oneOf'
    const base: Schema = only ? rest : { ...rest, anyOf: anyOf ?? [] }
    const branches = schemasOf(oneOf ?? anyOf, `${path}/${key}`).map((branch, i) => {
      const at = `${path}/${key}/${i}`
      const isPlain = !constrains(rest) && only
      return {
        at,
        schema: isPlain ? branch : mergeSchemas(base, this.references.flat(branch, at), at),
      }
    })
    if (oneOf !== undefined) {
      const flat = branches.map(branch => this.references.flat(branch.schema, branch.at))
      const pair = overlapping(flat)
      if (pair !== undefined) {
        throw new GrammarError(
          `${path}/oneOf: alternatives ${pair.join(' and ')} may both hold for one value; use anyOf, or tell them apart by a required constant property`,
        )
      }
    }
    const ways = branches.map(branch => this.lower(branch.schema, branch.at, depth + 1))
    return choice(...ways)
  }

  #anyValue(): Expr {
    const name = `${this.#prefix}any`
    if (!this.rules.has(name)) {
      const any = rule(name)
      const string = rule(`${name} string`)
      const { comma, colon, quote, keyQuote, keyPoints, minKeyLength, char } = this.syntax
      const freeName = repeat(charClass(keyPoints), minKeyLength)
      const member = seq(keyQuote, freeName, keyQuote, colon, any)
      this.rules.set(`${name} string`, seq(quote, repeat(char, 0), quote))
      this.rules.set(
        name,
        choice(
          text('null'),
          text('true'),
          text('false'),
          anyNumber,
          string,
          seq(text('['), optional(seq(any, repeat(seq(comma, any), 0))), text(']')),
          seq(text('{'), optional(seq(member, repeat(seq(comma, member), 0))), text('}')),
        ),
      )
    }
    return rule(name)
  }

  asRule(expr: Expr): Expr {
    if (expr.kind === 'rule') return expr
    const { define, name } = this.scope()
    define(name, expr)
    return rule(name)
  }

  scope(): RuleScope {
    return {
      syntax: this.syntax,
      name: `${this.#prefix}part ${this.#numRules++}`,
      define: (name, expr) => this.rules.set(name, expr),
    }
  }
}

function withoutIntegers(types: TypeName[]): TypeName[] {
  return types.includes('number') ? types.filter(type => type !== 'integer') : types
}
