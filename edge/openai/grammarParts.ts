import { z } from 'zod'
import type { Grammar, JsonObject } from '../engine.ts'
import { field } from '../schema.ts'

export const jsonSchema = z.union([field.object(), field.boolean()], { error: 'a JSON schema' })
export const choices = z.array(field.string(), 'an array of strings').min(1, 'at least one string')

/** A grammar, and the field it comes from. */
export interface OutputGrammar {
  grammar: Grammar
  param: string
}

export function schemaGrammar(schema: boolean | Record<string, unknown>): Grammar {
  // Parsed from JSON, so that is all there can be in it.
  return { type: 'json_schema', schema: schema as JsonObject | boolean }
}
