import type { Arguments, CompareOperator, Expression, Parameter, Statement, Target } from './ast.ts'
import { attributeOf, callValue, itemOf } from './attributes.ts'
import { JinjaError, typeError, valueError } from './errors.ts'
import { Loop } from './loop.ts'
import { binary, negate } from './operators.ts'
import { sequenceFilters } from './sequenceFilters.ts'
import { tests } from './tests.ts'
import { type Filter, textFilters } from './textFilters.ts'
import {
  type CallArguments,
  Callable,
  compare,
  contains,
  Float,
  isDict,
  isEqual,
  isTrue,
  iterate,
  Namespace,
  orElse,
  sliceOf,
  Tuple,
  toText,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** Bounds on one rendering: templates come with models and must not hang a server. */
const maxSteps = 20_000_000
const maxOutputChars = 64 * 2 ** 20

class Scope {
  readonly #values = new Map<string, Value>()
  readonly #parent: Scope | undefined

  constructor(parent?: Scope) {
    this.#parent = parent
  }

  get(name: string): Value | undefined {
    const value = this.#values.get(name)
    return value === undefined ? this.#parent?.get(name) : value
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }
}

type Flow = 'next' | 'break' | 'continue'

/** Renders a parsed template. @throws JinjaError */
export function renderTemplate(statements: Statement[], variables: Map<string, Value>): string {
  return new Interpreter().render(statements, variables)
}

class Interpreter {
  #steps = 0
  #out = ''
  readonly #filters: Record<string, Filter>

  constructor() {
    this.#filters = {
      ...textFilters,
      ...sequenceFilters({
        filter: (name, value, call) => this.#applyFilter(name, value, call),
        test: (name, value, call) => this.#applyTest(name, value, call),
      }),
    }
    for (const [alias, name] of [
      ['d', 'default'],
      ['e', 'escape'],
      ['forceescape', 'escape'],
    ] as const) {
      const filter = this.#filters[name]
      if (filter) this.#filters[alias] = filter
    }
  }

  render(statements: Statement[], variables: Map<string, Value>): string {
    const scope = new Scope()
    for (const [name, value] of variables) scope.set(name, value)
    return this.#capture(statements, scope)
  }

  #step(): void {
    if (++this.#steps > maxSteps) throw new JinjaError('RuntimeError', 'the template runs too long')
  }

  #emit(text: string): void {
    this.#out += text
    if (this.#out.length > maxOutputChars) {
      throw new JinjaError('MemoryError', 'the template writes too much')
    }
  }

  /** What statements write, as text. */
  #capture(statements: Statement[], scope: Scope): string {
    const outer = this.#out
    this.#out = ''
    this.#run(statements, scope)
    const text = this.#out
    this.#out = outer
    return text
  }

  #run(statements: Statement[], scope: Scope): Flow {
    for (const statement of statements) {
      const flow = this.#statement(statement, scope)
      if (flow !== 'next') return flow
    }
    return 'next'
  }

  #statement(statement: Statement, scope: Scope): Flow {
    this.#step()
    switch (statement.type) {
      case 'text':
        this.#emit(statement.text)
        return 'next'
      case 'output':
        this.#emit(toText(this.#value(statement.value, scope)))
        return 'next'
      case 'if':
        for (const { test, body } of statement.branches) {
          if (isTrue(this.#value(test, scope))) return this.#run(body, scope)
        }
        return this.#run(statement.else, scope)
      case 'for':
        this.#for(statement, this.#value(statement.iterable, scope), scope, 0)
        return 'next'
      case 'break':
      case 'continue':
        return statement.type
      case 'set':
        this.#assign(statement.target, this.#value(statement.value, scope), scope)
        return 'next'
      case 'setBlock': {
        const text = this.#capture(statement.body, new Scope(scope))
        const value = statement.filter ? this.#filterOf(statement.filter, text, scope) : text
        this.#assign(statement.target, value, scope)
        return 'next'
      }
      case 'with': {
        const inner = new Scope(scope)
        for (const [target, value] of statement.bindings) {
          this.#assign(target, this.#value(value, scope), inner)
        }
        return this.#run(statement.body, inner)
      }
      case 'scope':
        return this.#run(statement.body, new Scope(scope))
      case 'filterBlock': {
        const text = this.#capture(statement.body, new Scope(scope))
        this.#emit(toText(this.#filterOf(statement.filter, text, scope)))
        return 'next'
      }
      case 'macro':
        scope.set(
          statement.name,
          this.#macro(statement.name, statement.parameters, statement.body, scope),
        )
        return 'next'
      case 'callBlock': {
        const caller = this.#macro('caller', statement.parameters, statement.body, scope)
        if (statement.call.type !== 'call') throw typeError('a call block needs a call')
        const call = this.#arguments(statement.call.args, scope)
        call.named.set('caller', caller)
        this.#emit(toText(callValue(this.#value(statement.call.target, scope), call)))
        return 'next'
      }
    }
  }

  #for(
    statement: Extract<Statement, { type: 'for' }>,
    iterable: Value,
    scope: Scope,
    depth: number,
  ): void {
    let items = iterate(iterable)
    const { test } = statement
    if (test !== null) {
      items = items.filter(item => {
        const inner = new Scope(scope)
        this.#assign(statement.target, item, inner)
        return isTrue(this.#value(test, inner))
      })
    }
    if (items.length === 0) {
      this.#run(statement.else, new Scope(scope))
      return
    }
    const recurse = statement.isRecursive
      ? (inner: Value, innerDepth: number) => {
          const outer = this.#out
          this.#out = ''
          this.#for(statement, inner, scope, innerDepth)
          const text = this.#out
          this.#out = outer
          return text
        }
      : undefined
    const loop = new Loop(items, depth, recurse)
    for (const item of items) {
      this.#step()
      loop.advance()
      const inner = new Scope(scope)
      inner.set('loop', loop)
      this.#assign(statement.target, item, inner)
      if (this.#run(statement.body, inner) === 'break') return
    }
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    switch (target.type) {
      case 'name':
        scope.set(target.name, value)
        return
      case 'namespace': {
        const owner = scope.get(target.name)
        if (!(owner instanceof Namespace)) {
          throw new JinjaError(
            'TemplateRuntimeError',
            'cannot assign attribute on non-namespace object',
          )
        }
        owner.values.set(target.attribute, value)
        return
      }
      case 'tuple': {
        const items = iterate(value)
        if (items.length !== target.items.length) {
          throw valueError(
            items.length > target.items.length
              ? `too many values to unpack (expected ${target.items.length})`
              : `not enough values to unpack (expected ${target.items.length}, got ${items.length})`,
          )
        }
        for (const [i, inner] of target.items.entries()) {
          this.#assign(inner, items[i] ?? null, scope)
        }
      }
    }
  }

  #macro(name: string, parameters: Parameter[], body: Statement[], scope: Scope): Callable {
    const takesExtra = mentions(body, 'varargs')
    const takesNamed = mentions(body, 'kwargs')
    return new Callable(name, ({ args, named }) => {
      this.#step()
      const inner = new Scope(scope)
      const rest = new Map(named)
      inner.set(
        'caller',
        orElse(rest.get('caller'), () => new Undefined('No caller defined')),
      )
      rest.delete('caller')
      for (const [i, parameter] of parameters.entries()) {
        const given = i < args.length ? args[i] : rest.get(parameter.name)
        if (i < args.length && rest.has(parameter.name)) {
          throw typeError(`macro '${name}' got multiple values for argument '${parameter.name}'`)
        }
        rest.delete(parameter.name)
        inner.set(
          parameter.name,
          orElse(given, () => this.#missingArgument(parameter, inner)),
        )
      }
      if (args.length > parameters.length && !takesExtra) {
        throw typeError(`macro '${name}' takes not more than ${parameters.length} argument(s)`)
      }
      const [unknown] = rest.keys()
      if (unknown !== undefined && !takesNamed) {
        throw typeError(`macro '${name}' takes no keyword argument '${unknown}'`)
      }
      inner.set('varargs', Tuple.fromItems(args.slice(parameters.length)))
      inner.set('kwargs', new Map<Value, Value>(rest))
      return this.#capture(body, inner)
    })
  }

  #missingArgument(parameter: Parameter, scope: Scope): Value {
    return parameter.fallback
      ? this.#value(parameter.fallback, scope)
      : new Undefined(`parameter '${parameter.name}' was not provided`)
  }

  #value(node: Expression, scope: Scope): Value {
    this.#step()
    switch (node.type) {
      case 'const':
        return node.value
      case 'float':
        return new Float(node.value)
      case 'name':
        return orElse(scope.get(node.name), () => new Undefined(`'${node.name}' is undefined`))
      case 'list':
        return node.items.map(item => this.#value(item, scope))
      case 'tuple':
        return Tuple.fromItems(node.items.map(item => this.#value(item, scope)))
      case 'dict':
        return new Map(
          node.items.map(([key, value]) => [this.#value(key, scope), this.#value(value, scope)]),
        )
      case 'attribute':
        return attributeOf(this.#value(node.target, scope), node.name)
      case 'item':
        return this.#item(node, scope)
      case 'slice':
        throw typeError('a slice is only possible in a subscript')
      case 'call': {
        const target = this.#value(node.target, scope)
        return callValue(target, this.#arguments(node.args, scope))
      }
      case 'filter':
        return this.#filterOf(node, null, scope)
      case 'test': {
        const value = this.#value(node.target, scope)
        return this.#applyTest(node.name, value, this.#arguments(node.args, scope))
      }
      case 'unary':
        return node.operator === 'not'
          ? !isTrue(this.#value(node.operand, scope))
          : negate(node.operator, this.#value(node.operand, scope))
      case 'binary':
        return this.#binary(node, scope)
      case 'concat':
        return node.items.map(item => toText(this.#value(item, scope))).join('')
      case 'compare':
        return this.#compare(node, scope)
      case 'conditional':
        if (isTrue(this.#value(node.test, scope))) return this.#value(node.value, scope)
        return node.else
          ? this.#value(node.else, scope)
          : new Undefined('the inline if-expression evaluated to false and no else was defined')
    }
  }

  #item(node: Extract<Expression, { type: 'item' }>, scope: Scope): Value {
    const target = this.#value(node.target, scope)
    const { index } = node
    if (index.type !== 'slice') return itemOf(target, this.#value(index, scope))
    const bound = (part: Expression | null) => (part ? this.#value(part, scope) : null)
    return sliceOf(target, bound(index.start), bound(index.stop), bound(index.step))
  }

  #binary(node: Extract<Expression, { type: 'binary' }>, scope: Scope): Value {
    const left = this.#value(node.left, scope)
    if (node.operator === 'and') return isTrue(left) ? this.#value(node.right, scope) : left
    if (node.operator === 'or') return isTrue(left) ? left : this.#value(node.right, scope)
    return binary(node.operator, left, this.#value(node.right, scope))
  }

  #compare(node: Extract<Expression, { type: 'compare' }>, scope: Scope): boolean {
    let left = this.#value(node.first, scope)
    for (const [operator, expression] of node.rest) {
      const right = this.#value(expression, scope)
      if (!holds(operator, left, right)) return false
      left = right
    }
    return true
  }

  #arguments(args: Arguments, scope: Scope): CallArguments {
    const call: CallArguments = { args: [], named: new Map() }
    for (const { value, spread } of args.positional) {
      const given = this.#value(value, scope)
      if (spread) call.args.push(...iterate(given))
      else call.args.push(given)
    }
    for (const { name, value } of args.named) {
      const given = this.#value(value, scope)
      if (name !== null) call.named.set(name, given)
      else if (isDict(given)) for (const [key, entry] of given) call.named.set(toText(key), entry)
      else throw typeError(`argument after ** must be a mapping, not ${typeName(given)}`)
    }
    return call
  }

  /** A filter expression; `input` stands in where the innermost has no target. */
  #filterOf(node: Expression, input: Value, scope: Scope): Value {
    if (node.type !== 'filter') return this.#value(node, scope)
    const value = node.target ? this.#filterOf(node.target, input, scope) : input
    return this.#applyFilter(node.name, value, this.#arguments(node.args, scope))
  }

  #applyFilter(name: string, value: Value, call: CallArguments): Value {
    this.#step()
    const filter = Object.hasOwn(this.#filters, name) ? this.#filters[name] : undefined
    if (!filter) throw new JinjaError('TemplateAssertionError', `No filter named '${name}'.`)
    return filter(value, call)
  }

  #applyTest(name: string, value: Value, call: CallArguments): boolean {
    this.#step()
    if (name === 'filter' || name === 'test') {
      return (
        typeof value === 'string' && Object.hasOwn(name === 'filter' ? this.#filters : tests, value)
      )
    }
    const test = Object.hasOwn(tests, name) ? tests[name] : undefined
    if (!test) throw new JinjaError('TemplateAssertionError', `No test named '${name}'.`)
    return test(value, call)
  }
}

function holds(operator: CompareOperator, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right)
    case '!=':
      return !isEqual(left, right)
    case 'in':
      return contains(right, left)
    case 'not in':
      return !contains(right, left)
    case '<':
      return compare(left, right, operator) < 0
    case '<=':
      return compare(left, right, operator) <= 0
    case '>':
      return compare(left, right, operator) > 0
    case '>=':
      return compare(left, right, operator) >= 0
  }
}

/** Whether a tree reads a name anywhere. */
function mentions(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if ('type' in node && node.type === 'name' && 'name' in node && node.name === name) return true
  return Object.values(node).some(value => mentions(value, name))
}
