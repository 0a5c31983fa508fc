import type { Grammar, JsonObject } from '../../edge/engine.ts'
import { isObject } from '../jsonObject.ts'
import type { WrittenCalls } from '../parse/toolCallFormats.ts'
import { typesOf } from '../parse/typedValue.ts'
import {
  charClass,
  choice,
  complement,
  type Expr,
  empty,
  GrammarError,
  type GrammarRules,
  optional,
  rule,
  seq,
  text,
  union,
} from './expr.ts'
import { type DefineRule, freeText } from './freeText.ts'
import { lowerJsonSchema, lowerPartOfSchema } from './json/jsonSchema.ts'
import { type Schema, schemaMapOf, stringsOf } from './json/schemaTypes.ts'
import { spelled } from './json/strings.ts'
import { jsonSyntax, type ValueSyntax } from './json/syntax.ts'
import { lowerGrammar } from './lowerGrammar.ts'
import { type ControlTokens, markup } from './markup.ts'
import { anyPoint } from './regexSyntax.ts'

/** A tool as its calls are constrained. */
export interface CallableTool {
  name: string
  /** JSON schema of its arguments. */
  parameters: JsonObject
  strict: boolean
  /** Of a tool whose input is text: the language of that text, which is the one string in its arguments. */
  input?: { property: string; format: Grammar }
}

export interface ArgumentScope {
  controls: ControlTokens
  define: DefineRule
}

/**
 * The arguments of a tool as a format writes them. Those of a tool that is not strict follow its schema where that can be
 * enforced, and are any object where it cannot.
 * @throws GrammarError for a strict tool whose schema cannot be enforced
 */
export function callArguments(
  tool: CallableTool,
  notation: WrittenCalls['arguments'],
  scope: ArgumentScope,
): Expr {
  try {
    return written(tool, tool.parameters, notation, scope)
  } catch (error) {
    if (tool.strict || !(error instanceof GrammarError)) throw error
    return written(tool, {}, notation, scope)
  }
}

function written(
  tool: CallableTool,
  parameters: JsonObject,
  notation: WrittenCalls['arguments'],
  scope: ArgumentScope,
): Expr {
  const prefix = ` ${tool.name}: `
  if (notation === 'qwenXml' || notation === 'glmXml') {
    return xmlArguments(tool, parameters, xmlNotations[notation], scope)
  }
  const syntax = notation === 'json' ? jsonSyntax : gemmaSyntax(scope.controls)
  if (tool.input !== undefined) {
    const { property, format } = tool.input
    const body = renamed(lowerGrammar(format), prefix, expr => spelled(expr, syntax), scope.define)
    return seq(
      text('{'),
      syntax.key(property),
      syntax.colon,
      syntax.quote,
      body,
      syntax.quote,
      text('}'),
    )
  }
  return defined(lowerJsonSchema({ ...parameters, type: 'object' }, prefix, syntax), scope.define)
}

/** Gemma 4: `{key:<|"|>text<|"|>,other:1}`. */
function gemmaSyntax(controls: ControlTokens): ValueSyntax {
  const quote = markup('<|"|>', controls)
  // Apart from the characters that end or divide names and strings for its readers.
  const inText = complement([[0x3c, 0x3c]])
  const keyPoints = union([
    [0x2d, 0x2d],
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x5f, 0x5f],
    [0x61, 0x7a],
  ])
  return {
    comma: text(','),
    colon: text(':'),
    quote,
    char: charClass(controls.has('<|"|>') ? anyPoint : inText),
    spell: points => charClass(points),
    key: name => (/^[^:=,{}[\]<>"'\s]+$/u.test(name) ? text(name) : seq(quote, text(name), quote)),
    keyQuote: empty,
    keyPoints,
    minKeyLength: 1,
  }
}

interface XmlNotation {
  before: (name: string) => string
  after: string
}

const xmlNotations: Record<'qwenXml' | 'glmXml', XmlNotation> = {
  qwenXml: { before: name => `<parameter=${name}>\n`, after: '\n</parameter>\n' },
  glmXml: {
    before: name => `<arg_key>${name}</arg_key>\n<arg_value>`,
    after: '</arg_value>\n',
  },
}

/** Every parameter between tags: strings as they are, all else as JSON. */
function xmlArguments(
  tool: CallableTool,
  parameters: JsonObject,
  notation: XmlNotation,
  scope: ArgumentScope,
): Expr {
  const prefix = ` ${tool.name}: `
  const properties = schemaMapOf(parameters.properties, '#/properties')
  const required = new Set(stringsOf(parameters.required, '#/required'))
  const parts: Expr[] = []
  for (const [i, [name, schema]] of [...properties].entries()) {
    const end = markup(notation.after, scope.controls)
    const value = (): Expr => {
      if (tool.input?.property === name) {
        const body = renamed(lowerGrammar(tool.input.format), prefix, expr => expr, scope.define)
        return seq(body, end)
      }
      return xmlValue(parameters, schema, `${prefix}${i} `, notation, scope)
    }
    const part = seq(markup(notation.before(name), scope.controls), value())
    const isRequired = required.has(name) || tool.input?.property === name
    parts.push(isRequired ? part : optional(part))
  }
  return seq(...parts)
}

function xmlValue(
  whole: JsonObject,
  schema: Schema,
  prefix: string,
  { after }: XmlNotation,
  { controls, define }: ArgumentScope,
): Expr {
  const end = markup(after, controls)
  const types = isObject(schema) ? typesOf(schema) : undefined
  if (types !== undefined && !types.includes('string')) {
    return seq(defined(lowerPartOfSchema(whole, schema, prefix, jsonSyntax), define), end)
  }
  const listed =
    isObject(schema) && (schema.enum ?? (schema.const === undefined ? undefined : [schema.const]))
  if (Array.isArray(listed)) {
    const texts = listed.map(value => (typeof value === 'string' ? value : JSON.stringify(value)))
    return seq(choice(...texts.map(text)), end)
  }
  const isBound =
    isObject(schema) && ['pattern', 'format', 'minLength', 'maxLength'].some(k => k in schema)
  if (isBound && types?.length === 1) {
    return seq(defined(lowerPartOfSchema(whole, schema, prefix, rawSyntax), define), end)
  }
  const tag = after.trim()
  const rest = after.slice(after.indexOf(tag) + tag.length)
  return freeText([{ text: tag, next: text(rest) }], false, controls, define, `${prefix}text`)
}

/** Strings as they are, without what could begin a tag. */
const rawSyntax: ValueSyntax = {
  ...jsonSyntax,
  quote: empty,
  char: charClass(complement([[0x3c, 0x3c]])),
  spell: points => charClass(complement(union([...complement(points), [0x3c, 0x3c]]))),
}

function defined({ root, rules }: GrammarRules, define: DefineRule): Expr {
  for (const [name, expr] of rules) define(name, expr)
  return rule(root)
}

/** Rules under names of their own, each expression changed. */
function renamed(
  { root, rules }: GrammarRules,
  prefix: string,
  change: (expr: Expr) => Expr,
  define: DefineRule,
): Expr {
  const rename = (expr: Expr): Expr => {
    switch (expr.kind) {
      case 'rule':
        return rule(prefix + expr.name)
      case 'seq':
      case 'choice':
        return { kind: expr.kind, items: expr.items.map(rename) }
      case 'repeat':
        return { ...expr, item: rename(expr.item) }
      default:
        return expr
    }
  }
  for (const [name, expr] of rules) define(prefix + name, rename(change(expr)))
  return rule(prefix + root)
}
