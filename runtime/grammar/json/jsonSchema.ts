import type { JsonValue } from '../../../edge/engine.ts'
import { isObject } from '../../jsonObject.ts'
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
import { overlapping } from './disjoint.ts'
import { mergeSchemas, patternOf, unnamed } from './mergeSchemas.ts'
import { numberSchema } from './numberSchema.ts'
import { anyNumber } from './numbers.ts'
import { type Member, objectMembers } from './objectMembers.ts'
import { References } from './references.ts'
import {
  asSchema,
  keywordsOfType,
  numberOf,
  type Schema,
  type SchemaObject,
  schemaMapOf,
  schemasOf,
  stringsOf,
  type TypeName,
  typesOf,
  unenforceable,
} from './schemaTypes.ts'
import { jsonKey, jsonString, type RuleScope, type StringRules, spelled } from './strings.ts'
import { jsonSyntax, type ValueSyntax } from './syntax.ts'
import { isValid } from './validValue.ts'

/** Keywords that say what a grammar cannot, or only with an effort nobody has asked for yet. */
const unsupported = [
  'not',
  'if',
  'contains',
  'minContains',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  '$dynamicRef',
  '$recursiveRef',
]
const maxDepth = 200

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

class SchemaLowering {
  readonly rules = new Map<string, Expr>()
  readonly #references: References
  readonly #prefix: string
  readonly #syntax: ValueSyntax
  #numRules = 0

  constructor(root: Schema, prefix: string, syntax: ValueSyntax) {
    this.#references = new References(root)
    this.#prefix = prefix
    this.#syntax = syntax
  }

  lower(schema: Schema, path: string, depth: number): Expr {
    if (depth > maxDepth) throw new GrammarError(`${path} is nested too deeply`)
    if (schema === true) return this.#anyValue()
    if (schema === false) return never
    for (const key of unsupported) {
      if (schema[key] !== undefined) throw unenforceable(`${path}/${key}`)
    }
    const { $ref, allOf, ...rest } = schema
    if (typeof $ref === 'string') {
      if (!constrains({ ...rest, ...(allOf !== undefined && { allOf }) }))
        return this.#reference($ref, depth)
      const { $ref: _, ...siblings } = schema
      return this.lower(mergeSchemas(this.#resolve($ref, 0), siblings, path), path, depth + 1)
    }
    if (allOf !== undefined) {
      const merged = schemasOf(allOf, `${path}/allOf`).reduce<Schema>(
        (all, part) => mergeSchemas(all, this.#flat(part, path, 0), path),
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
        return numberSchema(type, schema, path, this.#scope())
      case 'string':
        return jsonString(stringRules(schema, path), this.#scope())
      case 'array':
        return this.#array(schema, path, depth)
      case 'object':
        return this.#object(schema, path, depth)
    }
  }

  /** The rule of what a reference names, built once, however often and deep it is named. */
  #reference(ref: string, depth: number): Expr {
    const name = `${this.#prefix}${ref}`
    if (!this.rules.has(name)) {
      this.rules.set(name, never)
      this.rules.set(name, this.lower(this.#resolve(ref, 0), ref, depth + 1))
    }
    return rule(name)
  }

  #resolve(ref: string, depth: number): Schema {
    if (depth > maxDepth) throw new GrammarError(`$ref "${ref}" refers to itself`)
    const schema = this.#references.resolve(ref)
    const isOnlyRef =
      isObject(schema) && typeof schema.$ref === 'string' && Object.keys(schema).length === 1
    return isOnlyRef && typeof schema.$ref === 'string'
      ? this.#resolve(schema.$ref, depth + 1)
      : schema
  }

  /** Without a reference at its top, and without `allOf`. */
  #flat(schema: Schema, path: string, depth: number): Schema {
    if (depth > maxDepth) throw new GrammarError(`${path} refers to itself`)
    if (!isObject(schema)) return schema
    const { $ref, allOf, ...rest } = schema
    let flat: Schema = rest
    if (typeof $ref === 'string')
      flat = mergeSchemas(this.#flat(this.#resolve($ref, 0), path, depth + 1), flat, path)
    for (const part of schemasOf(allOf, path))
      flat = mergeSchemas(flat, this.#flat(part, path, depth + 1), path)
    return flat
  }

  #values(schema: SchemaObject, path: string): Expr {
    const values: JsonValue[] = schema.const !== undefined ? [schema.const] : []
    if (schema.const === undefined) {
      if (!Array.isArray(schema.enum)) throw new GrammarError(`${path}/enum must be a list`)
      values.push(...schema.enum)
    }
    const resolve = (ref: string) => this.#references.resolve(ref)
    const valid = values.filter(value => isValid(schema, value, resolve, path))
    return choice(...valid.map(value => this.#value(value)))
  }

  /** One value, written out. */
  #value(value: JsonValue): Expr {
    const { comma, colon, key, quote } = this.#syntax
    if (typeof value === 'string') {
      return seq(quote, spelled(text(value), this.#syntax), quote)
    }
    if (Array.isArray(value)) {
      const items = value.map((item, i) => seq(...(i > 0 ? [comma] : []), this.#value(item)))
      return seq(text('['), ...items, text(']'))
    }
    if (!isObject(value)) return text(JSON.stringify(value))
    const members = Object.entries(value).map(([name, inner], i) =>
      seq(...(i > 0 ? [comma] : []), key(name), colon, this.#value(inner)),
    )
    return seq(text('{'), ...members, text('}'))
  }

  #alternatives(schema: SchemaObject, path: string, depth: number): Expr {
    const { anyOf, oneOf, ...rest } = schema
    const only = anyOf === undefined || oneOf === undefined
    const key = oneOf === undefined ? 'anyOf' : 'oneOf'
    const base: Schema = only ? rest : { ...rest, anyOf: anyOf ?? [] }
    const branches = schemasOf(oneOf ?? anyOf, `${path}/${key}`).map((branch, i) => {
      const at = `${path}/${key}/${i}`
      const isPlain = !constrains(rest) && only
      return { at, schema: isPlain ? branch : mergeSchemas(base, this.#flat(branch, at, 0), at) }
    })
    if (oneOf !== undefined) {
      const flat = branches.map(branch => this.#flat(branch.schema, branch.at, 0))
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

  #array(schema: SchemaObject, path: string, depth: number): Expr {
    const min = numberOf(schema, 'minItems', path) ?? 0
    const max = numberOf(schema, 'maxItems', path) ?? Infinity
    if (schema.uniqueItems === true && max > 1) throw unenforceable(`${path}/uniqueItems`)
    const isTuple = Array.isArray(schema.items)
    const first = schemasOf(isTuple ? schema.items : schema.prefixItems, `${path}/prefixItems`)
    const items = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems
    const rest = items === undefined ? true : asSchema(items, `${path}/items`)
    const most = rest === false ? Math.min(max, first.length) : max
    if (min > most) return never
    const item = this.#asRule(
      () => this.lower(rest, `${path}/items`, depth + 1),
      most > first.length,
    )
    const elements = first
      .slice(0, Math.min(most, first.length))
      .map((element, i) => this.lower(element, `${path}/prefixItems/${i}`, depth + 1))
    let tail = repeat(
      seq(this.#syntax.comma, item),
      Math.max(0, min - Math.max(1, elements.length)),
      most - Math.max(1, elements.length),
    )
    if (most <= elements.length) tail = seq()
    for (let i = elements.length - 1; i > 0; i--) {
      const more = seq(this.#syntax.comma, elements[i] ?? never, tail)
      tail = i < min ? more : optional(more)
    }
    const all = seq(elements[0] ?? item, tail)
    const body = most === 0 ? seq() : min > 0 ? all : optional(all)
    return seq(text('['), body, text(']'))
  }

  #object(schema: SchemaObject, path: string, depth: number): Expr {
    const declared = schemaMapOf(schema.properties, `${path}/properties`)
    const required = new Set(stringsOf(schema.required, `${path}/required`))
    const patterns = schemaMapOf(schema.patternProperties, `${path}/patternProperties`)
    for (const name of required) {
      if (!declared.has(name)) declared.set(name, unnamed(schema, name, path))
    }
    const names =
      schema.propertyNames === undefined
        ? true
        : this.#flat(asSchema(schema.propertyNames, `${path}/propertyNames`), path, 0)
    const resolve = (ref: string) => this.#references.resolve(ref)
    const members: Member[] = []
    for (const [name, own] of declared) {
      const at = `${path}/properties/${name}`
      const isRequired = required.has(name)
      if (!isValid(names, name, resolve, at)) {
        if (isRequired) return never
        continue
      }
      const value = this.#withPatterns(name, own, patterns, path)
      const expr = seq(
        this.#syntax.key(name),
        this.#syntax.colon,
        this.#asRule(() => this.lower(value, at, depth + 1), true),
      )
      members.push({ expr, isRequired })
    }
    const extra = this.#extraMember(schema, [...declared.keys()], patterns, names, path, depth)
    const least = numberOf(schema, 'minProperties', path) ?? 0
    const most = numberOf(schema, 'maxProperties', path) ?? Infinity
    return seq(text('{'), objectMembers(members, extra, { least, most }, this.#scope()), text('}'))
  }

  #withPatterns(name: string, schema: Schema, patterns: Map<string, Schema>, path: string): Schema {
    let all = schema
    for (const [pattern, value] of patterns) {
      if (!patternOf(pattern, path).test(name)) continue
      const isSame = isObject(all) && isObject(value) && all === value
      if (!isSame) all = mergeSchemas(this.#flat(all, path, 0), this.#flat(value, path, 0), path)
    }
    return all
  }

  /** A property that is not declared, of any name that may be. */
  #extraMember(
    schema: SchemaObject,
    declared: string[],
    patterns: Map<string, Schema>,
    names: Schema,
    path: string,
    depth: number,
  ): Expr | undefined {
    if (names === false) return undefined
    const nameRules = names === true ? {} : this.#nameRules(names, path)
    const ways: Expr[] = []
    for (const [pattern, value] of patterns) {
      const rules = { ...nameRules, patterns: [...(nameRules.patterns ?? []), pattern] }
      const others = { names: declared, patterns: [...patterns.keys()].filter(p => p !== pattern) }
      const key = jsonKey(rules, others, this.#scope())
      ways.push(
        seq(
          key,
          this.#syntax.colon,
          this.lower(value, `${path}/patternProperties/${pattern}`, depth + 1),
        ),
      )
    }
    const others = schema.additionalProperties ?? schema.unevaluatedProperties
    const isOpen =
      others === undefined ? declared.length === 0 && patterns.size === 0 : others !== false
    if (isOpen) {
      const key = jsonKey(
        nameRules,
        { names: declared, patterns: [...patterns.keys()] },
        this.#scope(),
      )
      const value = others === undefined ? true : asSchema(others, `${path}/additionalProperties`)
      ways.push(
        seq(key, this.#syntax.colon, this.lower(value, `${path}/additionalProperties`, depth + 1)),
      )
    }
    return ways.length === 0 ? undefined : this.#asRule(() => choice(...ways), true)
  }

  #nameRules(names: SchemaObject, path: string): StringRules {
    const at = `${path}/propertyNames`
    if (names.enum !== undefined || names.const !== undefined) {
      const listed = names.const === undefined ? names.enum : [names.const]
      const escaped = stringsOf(listed, at).map(name =>
        name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'),
      )
      return { patterns: [`^(${escaped.join('|')})$`] }
    }
    for (const key of Object.keys(names)) {
      if (
        key !== 'type' &&
        !keywordsOfType.string.includes(key) &&
        constrains({ [key]: names[key] ?? null })
      ) {
        throw unenforceable(`${at}/${key}`)
      }
    }
    return stringRules(names, at)
  }

  #anyValue(): Expr {
    const name = `${this.#prefix}any`
    if (!this.rules.has(name)) {
      const any = rule(name)
      const string = rule(`${name} string`)
      const { comma, colon, quote, keyQuote, keyPoints, minKeyLength, char } = this.#syntax
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

  #asRule(make: () => Expr, isUsed: boolean): Expr {
    if (!isUsed) return never
    const expr = make()
    if (expr.kind === 'rule') return expr
    const { define, name } = this.#scope()
    define(name, expr)
    return rule(name)
  }

  #scope(): RuleScope {
    return {
      syntax: this.#syntax,
      name: `${this.#prefix}part ${this.#numRules++}`,
      define: (name, expr) => this.rules.set(name, expr),
    }
  }
}

function stringRules(schema: SchemaObject, path: string): StringRules {
  const minLength = numberOf(schema, 'minLength', path)
  const maxLength = numberOf(schema, 'maxLength', path)
  for (const pattern of stringsOf(schema.pattern, `${path}/pattern`))
    patternOf(pattern, `${path}/pattern`)
  return {
    patterns: stringsOf(schema.pattern, `${path}/pattern`),
    ...(typeof schema.format === 'string' && { format: schema.format }),
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
  }
}

function withoutIntegers(types: TypeName[]): TypeName[] {
  return types.includes('number') ? types.filter(type => type !== 'integer') : types
}

const constraining = new Set([
  'type',
  'enum',
  'const',
  'anyOf',
  'oneOf',
  'allOf',
  '$ref',
  'uniqueItems',
  'unevaluatedItems',
  'unevaluatedProperties',
  ...unsupported,
  ...Object.values(keywordsOfType).flat(),
])

/** Whether a schema says anything beyond notes for readers. */
function constrains(schema: SchemaObject): boolean {
  return Object.keys(schema).some(key => constraining.has(key))
}
