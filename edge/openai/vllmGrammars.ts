import { z } from 'zod'
import type { Grammar } from '../engine.ts'
import { unsupported } from '../errors.ts'
import { isObject } from '../jsonObject.ts'
import { field, invalidValue, optional } from '../schema.ts'
import { choices, jsonSchema, type OutputGrammar, schemaGrammar } from './grammarParts.ts'

const schemaOrText = z.union([field.string(), jsonSchema], { error: 'a JSON schema' })

/**
 * vLLM's fields for a language: `structured_outputs`, and what came before it, `guided_json` and the like.
 * Source: docs.vllm.ai, "Structured Outputs".
 */
export const vllmGrammarFields = {
  structured_outputs: optional(
    z.object(
      {
        json: optional(schemaOrText),
        json_object: optional(field.boolean()),
        regex: optional(field.string()),
        choice: optional(choices),
        grammar: optional(field.string()),
        structural_tag: optional(field.any()),
      },
      'an object',
    ),
  ),
  guided_json: optional(schemaOrText),
  guided_regex: optional(field.string()),
  guided_choice: optional(choices),
  guided_grammar: optional(field.string()),
}

type VllmFields = z.infer<z.ZodObject<typeof vllmGrammarFields>>

/** @throws ApiError 400 for a schema that is none, and for structural tags */
export function ofVllmFields(fields: VllmFields): OutputGrammar[] {
  const { structured_outputs } = fields
  if (structured_outputs?.structural_tag !== undefined) {
    const param = 'structured_outputs.structural_tag'
    throw unsupported(param, `'${param}' is not supported by this server.`)
  }
  return [
    ...(structured_outputs ? languages('structured_outputs.', structured_outputs) : []),
    ...languages('guided_', {
      json: fields.guided_json,
      regex: fields.guided_regex,
      choice: fields.guided_choice,
      grammar: fields.guided_grammar,
    }),
  ]
}

/** What `${prefix}json` and the others ask for. */
function languages(
  prefix: string,
  {
    json,
    json_object,
    regex,
    choice,
    grammar,
  }: Partial<NonNullable<VllmFields['structured_outputs']>>,
): OutputGrammar[] {
  const asked: [string, Grammar | false | undefined][] = [
    ['json', json !== undefined && ofJson(json, `${prefix}json`)],
    ['json_object', json_object && { type: 'json_object' }],
    ['regex', regex !== undefined && { type: 'regex', pattern: regex }],
    ['choice', choice && { type: 'choice', choices: choice }],
    ['grammar', grammar !== undefined && ofGrammarText(grammar)],
  ]
  return asked.flatMap(([name, language]) =>
    language ? [{ grammar: language, param: prefix + name }] : [],
  )
}

/** The schema may be text too. */
function ofJson(value: string | boolean | Record<string, unknown>, param: string): Grammar {
  if (typeof value !== 'string') return schemaGrammar(value)
  let schema: unknown
  try {
    schema = JSON.parse(value)
  } catch {
    throw invalidValue(param, value, 'a JSON schema')
  }
  if (typeof schema === 'boolean' || isObject(schema)) return schemaGrammar(schema)
  throw invalidValue(param, value, 'a JSON schema')
}

/** Rules are written `name ::= …` in one of the two notations and `name: …` in the other. */
function ofGrammarText(text: string): Grammar {
  return { type: text.includes('::=') ? 'gbnf' : 'lark', grammar: text }
}
