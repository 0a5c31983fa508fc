/** A template as a tree. Names of nodes as in jinja2 `nodes.py`. */
export type Expression =
  | { type: 'const'; value: string | number | boolean | null }
  | { type: 'float'; value: number }
  | { type: 'name'; name: string }
  | { type: 'list' | 'tuple'; items: Expression[] }
  | { type: 'dict'; items: [Expression, Expression][] }
  | { type: 'attribute'; target: Expression; name: string }
  | { type: 'item'; target: Expression; index: Expression }
  | { type: 'slice'; start: Expression | null; stop: Expression | null; step: Expression | null }
  | { type: 'call'; target: Expression; args: Arguments }
  | { type: 'filter'; target: Expression | null; name: string; args: Arguments }
  | { type: 'test'; target: Expression; name: string; args: Arguments }
  | { type: 'unary'; operator: '-' | '+' | 'not'; operand: Expression }
  | { type: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }
  | { type: 'concat'; items: Expression[] }
  | { type: 'compare'; first: Expression; rest: [CompareOperator, Expression][] }
  | { type: 'conditional'; test: Expression; value: Expression; else: Expression | null }

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**' | 'and' | 'or'
export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in'

export interface Arguments {
  /** `spread` marks `*args`. */
  positional: { value: Expression; spread: boolean }[]
  /** A null name marks `**kwargs`. */
  named: { name: string | null; value: Expression }[]
}

export type Target =
  | { type: 'name'; name: string }
  | { type: 'namespace'; name: string; attribute: string }
  | { type: 'tuple'; items: Target[] }

export interface Parameter {
  name: string
  fallback: Expression | null
}

export type Statement =
  | { type: 'text'; text: string }
  | { type: 'output'; value: Expression }
  | { type: 'if'; branches: { test: Expression; body: Statement[] }[]; else: Statement[] }
  | {
      type: 'for'
      target: Target
      iterable: Expression
      test: Expression | null
      isRecursive: boolean
      body: Statement[]
      else: Statement[]
    }
  | { type: 'break' | 'continue' }
  | { type: 'set'; target: Target; value: Expression }
  | { type: 'setBlock'; target: Target; filter: Expression | null; body: Statement[] }
  | { type: 'with'; bindings: [Target, Expression][]; body: Statement[] }
  | { type: 'scope'; body: Statement[] }
  | { type: 'filterBlock'; filter: Expression; body: Statement[] }
  | { type: 'macro'; name: string; parameters: Parameter[]; body: Statement[] }
  | { type: 'callBlock'; call: Expression; parameters: Parameter[]; body: Statement[] }
