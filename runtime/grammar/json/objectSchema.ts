import { isObject } from '../../jsonObject.ts'
import { choice, type Expr, never, seq, text } from '../expr.ts'
import type { Lowering } from './lowering.ts'
import { mergeSchemas, patternOf, unnamed } from './mergeSchemas.ts'
import { type Member, objectMembers } from './objectMembers.ts'
import type { References } from './references.ts'
import {
  asSchema,
  constrains,
  keywordsOfType,
  numberOf,
  type Schema,
  type SchemaObject,
  schemaMapOf,
  stringsOf,
  unenforceable,
} from './schemaTypes.ts'
import { jsonKey, type StringRules, stringRules } from './strings.ts'
import { isValid } from './validValue.ts'

/** The objects that are valid for a schema, as `Lowering.lower`. */
export function objectSchema(
  schema: SchemaObject,
  path: string,
  depth: number,
  lowering: Lowering,
): Expr {
  const { syntax, references } = lowering
  const declared = schemaMapOf(schema.properties, `${path}/properties`)
  const required = new Set(stringsOf(schema.required, `${path}/required`))
  const patterns = schemaMapOf(schema.patternProperties, `${path}/patternProperties`)
  for (const name of required) {
    if (!declared.has(name)) declared.set(name, unnamed(schema, name, path))
  }
  const names =
    schema.propertyNames === undefined
      ? true
      : references.flat(asSchema(schema.propertyNames, `${path}/propertyNames`), path)
  const resolve = (ref: string) => references.resolve(ref)
  const members: Member[] = []
  for (const [name, own] of declared) {
    const at = `${path}/properties/${name}`
    const isRequired = required.has(name)
    if (!isValid(names, name, resolve, at)) {
      if (isRequired) return never
      continue
    }
    const value = withPatterns(name, own, patterns, path, references)
    const expr = seq(
      syntax.key(name),
      syntax.colon,
      lowering.asRule(lowering.lower(value, at, depth + 1)),
    )
    members.push({ expr, isRequired })
  }
  const extra = extraMember(schema, [...declared.keys()], patterns, names, path, depth, lowering)
  const least = numberOf(schema, 'minProperties', path) ?? 0
  const most = numberOf(schema, 'maxProperties', path) ?? Infinity
  return seq(text('{'), objectMembers(members, extra, { least, most }, lowering.scope()), text('}'))
}

/** What a property must be by its own schema and by those of patterns that its name matches. */
function withPatterns(
  name: string,
  schema: Schema,
  patterns: Map<string, Schema>,
  path: string,
  references: References,
): Schema {
  let all = schema
  for (const [pattern, value] of patterns) {
    if (!patternOf(pattern, path).test(name)) continue
    const isSame = isObject(all) && isObject(value) && all === value
    if (!isSame) all = mergeSchemas(references.flat(all, path), references.flat(value, path), path)
  }
  return all
}

/** A property that is not declared, of any name that may be. */
function extraMember(
  schema: SchemaObject,
  declared: string[],
  patterns: Map<string, Schema>,
  names: Schema,
  path: string,
  depth: number,
  lowering: Lowering,
): Expr | undefined {
  const { syntax } = lowering
  if (names === false) return undefined
  const nameRules = names === true ? {} : nameRulesOf(names, path)
  const ways: Expr[] = []
  for (const [pattern, value] of patterns) {
    const rules = { ...nameRules, patterns: [...(nameRules.patterns ?? []), pattern] }
    const others = { names: declared, patterns: [...patterns.keys()].filter(p => p !== pattern) }
    const key = jsonKey(rules, others, lowering.scope())
    ways.push(
      seq(
        key,
        syntax.colon,
        lowering.lower(value, `${path}/patternProperties/${pattern}`, depth + 1),
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
      lowering.scope(),
    )
    const value = others === undefined ? true : asSchema(others, `${path}/additionalProperties`)
    ways.push(
      seq(key, syntax.colon, lowering.lower(value, `${path}/additionalProperties`, depth + 1)),
    )
  }
  return ways.length === 0 ? undefined : lowering.asRule(choice(...ways))
}

function nameRulesOf(names: SchemaObject, path: string): StringRules {
  const at = `${path}/propertyNames`
  if (names.enum !== undefined || names.const !== undefined) {
    const listed = names.const === undefined ? names.enum : [names.const]
    const escaped = stringsOf(listed, at).map(name => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
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
