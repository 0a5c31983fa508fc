import type { Expr } from '../expr.ts'
import type { References } from './references.ts'
import type { Schema } from './schemaTypes.ts'
import type { RuleScope } from './strings.ts'
import type { ValueSyntax } from './syntax.ts'

/** What the parts of a schema, each in a file of its own, ask of the lowering of the whole. */
export interface Lowering {
  readonly syntax: ValueSyntax
  readonly references: References
  /** @param path place in the schema, for errors */
  lower(schema: Schema, path: string, depth: number): Expr
  /** Makes a rule of it, so that it may stand in several places. */
  asRule(expr: Expr): Expr
  /** Where rules go, under names that are still free. */
  scope(): RuleScope
}
