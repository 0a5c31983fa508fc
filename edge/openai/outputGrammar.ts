import { z } from 'zod'
import type { Grammar } from '../engine.ts'
import { invalidRequest, unsupported } from '../errors.ts'
import { field, invalidValue, optional } from '../schema.ts'
import { choices, jsonSchema, type OutputGrammar, schemaGrammar } from './grammarParts.ts'
import { ofVllmFields, vllmGrammarFields } from './vllmGrammars.ts'

/** A named schema that the output is held to, whether or not it says `strict`. */
export const schemaFields = {
  name: field.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, _ or -'),
  description: optional(field.string()),
  schema: optional(jsonSchema),
  strict: optional(field.boolean()),
}

const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    // A schema beside `json_object` is how other servers of this kind take one.
    z.object({ type: z.literal('json_object'), schema: optional(jsonSchema) }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.object(schemaFields, 'an object'),
    }),
  ],
  "an object with type 'text', 'json_object' or 'json_schema'",
)

const llguidancePart = z.object(
  {
    json_schema: optional(jsonSchema),
    lark_grammar: optional(field.string()),
  },
  'an object',
)
const grammarField = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('regex'), value: field.string() }),
    z.object({ type: z.literal('json_schema'), value: jsonSchema }),
    z.object({ type: z.literal('lark'), value: field.string() }),
    z.object({ type: z.literal('gbnf'), value: field.string() }),
    z.object({ type: z.literal('choice'), value: choices }),
    z.object({
      type: z.literal('llguidance'),
      value: z.object(
        {
          grammars: z.array(llguidancePart, 'an array of grammars').min(1, 'at least one grammar'),
        },
        'an object with grammars',
      ),
    }),
  ],
  "an object with type 'regex', 'json_schema', 'lark', 'llguidance', 'gbnf' or 'choice'",
)

/** The fields that hold the output to a language; one of them at a time. */
export const grammarFields = {
  response_format: optional(responseFormat),
  grammar: optional(grammarField),
  ...vllmGrammarFields,
}

type GrammarFields = z.infer<z.ZodObject<typeof grammarFields>>

/** @throws ApiError 400 when two fields ask for a language each */
export function toOutputGrammar(fields: GrammarFields): OutputGrammar | undefined {
  const { response_format, grammar } = fields
  const asked = [
    response_format && ofResponseFormat(response_format),
    grammar && { grammar: ofGrammar(grammar), param: 'grammar' },
    ...ofVllmFields(fields),
  ].filter(language => language !== undefined)
  const [first, second] = asked
  if (first === undefined || second === undefined) return first
  const [a = '', b = ''] = [first, second].map(({ param }) =>
    param.startsWith('response_format') ? 'response_format' : param,
  )
  throw invalidRequest(b, `'${a}' and '${b}' cannot be used together.`)
}

function ofResponseFormat(format: z.infer<typeof responseFormat>): OutputGrammar | undefined {
  if (format.type === 'text') return undefined
  const [schema, param] =
    format.type === 'json_object'
      ? [format.schema, 'response_format.schema']
      : [format.json_schema.schema, 'response_format.json_schema.schema']
  return schema === undefined
    ? { grammar: { type: 'json_object' }, param: 'response_format' }
    : { grammar: schemaGrammar(schema), param }
}

function ofGrammar(grammar: z.infer<typeof grammarField>): Grammar {
  switch (grammar.type) {
    case 'regex':
      return { type: 'regex', pattern: grammar.value }
    case 'json_schema':
      return schemaGrammar(grammar.value)
    case 'choice':
      return { type: 'choice', choices: grammar.value }
    case 'llguidance':
      return ofLlguidance(grammar.value.grammars)
    default:
      return { type: grammar.type, grammar: grammar.value }
  }
}

/** Source: llguidance's `TopLevelGrammar`, of which several grammars may refer to each other. */
function ofLlguidance(grammars: z.infer<typeof llguidancePart>[]): Grammar {
  const [only, ...others] = grammars
  if (others.length > 0) {
    throw unsupported('grammar.value.grammars', 'Only a single grammar is supported.')
  }
  if (only?.json_schema !== undefined) return schemaGrammar(only.json_schema)
  if (only?.lark_grammar !== undefined) return { type: 'lark', grammar: only.lark_grammar }
  throw invalidValue(
    'grammar.value.grammars[0]',
    only,
    "an object with 'json_schema' or 'lark_grammar'",
  )
}
