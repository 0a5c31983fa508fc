import type { Arguments, CompareOperator, Expression } from './ast.ts'
import { attributeOf, callValue, itemOf } from './attributes.ts'
import { JinjaError, typeError } from './errors.ts'
import { binary, negate } from './operators.ts'
import type { Scope } from './scope.ts'
import { sequenceFilters } from './sequenceFilters.ts'
import { tests } from './tests.ts'
import { type Filter, textFilters } from './textFilters.ts'
import {
  type CallArguments,
  compare,
  contains,
  Float,
  isDict,
  isEqual,
  isTrue,
  iterate,
  orElse,
  sliceOf,
  Tuple,
  toText,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** Bound on one rendering: templates come with models and must not hang a server. */
const maxSteps = 20_000_000

/** Evaluates expressions, filters and tests, and counts the steps of a rendering. Throws JinjaError. */
export class Evaluator {
  #steps = 0
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

  /** Counts one step of the rendering. @throws JinjaError when there were too many */
  step(): void {
    if (++this.#steps > maxSteps) throw new JinjaError('RuntimeError', 'the template runs too long')
  }

  value(node: Expression, scope: Scope): Value {
    this.step()
    switch (node.type) {
      case 'const':
        return node.value
      case 'float':
        return new Float(node.value)
      case 'name':
        return orElse(scope.get(node.name), () => new Undefined(`'${node.name}' is undefined`))
      case 'list':
        return node.items.map(item => this.value(item, scope))
      case 'tuple':
        return Tuple.fromItems(node.items.map(item => this.value(item, scope)))
      case 'dict':
        return new Map(
          node.items.map(([key, value]) => [this.value(key, scope), this.value(value, scope)]),
        )
      case 'attribute':
        return attributeOf(this.value(node.target, scope), node.name)
      case 'item':
        return this.#item(node, scope)
      case 'slice':
        throw typeError('a slice is only possible in a subscript')
      case 'call': {
        const target = this.value(node.target, scope)
        return callValue(target, this.arguments(node.args, scope))
      }
      case 'filter':
        return this.filterOf(node, null, scope)
      case 'test': {
        const value = this.value(node.target, scope)
        return this.#applyTest(node.name, value, this.arguments(node.args, scope))
      }
      case 'unary':
        return node.operator === 'not'
          ? !isTrue(this.value(node.operand, scope))
          : negate(node.operator, this.value(node.operand, scope))
      case 'binary':
        return this.#binary(node, scope)
      case 'concat':
        return node.items.map(item => toText(this.value(item, scope))).join('')
      case 'compare':
        return this.#compare(node, scope)
      case 'conditional':
        if (isTrue(this.value(node.test, scope))) return this.value(node.value, scope)
        return node.else
          ? this.value(node.else, scope)
          : new Undefined('the inline if-expression evaluated to false and no else was defined')
    }
  }

  #item(node: Extract<Expression, { type: 'item' }>, scope: Scope): Value {
    const target = this.value(node.target, scope)
    const { index } = node
    if (index.type !== 'slice') return itemOf(target, this.value(index, scope))
    const bound = (part: Expression | null) => (part ? this.value(part, scope) : null)
    return sliceOf(target, bound(index.start), bound(index.stop), bound(index.step))
  }

  #binary(node: Extract<Expression, { type: 'binary' }>, scope: Scope): Value {
    const left = this.value(node.left, scope)
    if (node.operator === 'and') return isTrue(left) ? this.value(node.right, scope) : left
    if (node.operator === 'or') return isTrue(left) ? left : this.value(node.right, scope)
    return binary(node.operator, left, this.value(node.right, scope))
  }

  #compare(node: Extract<Expression, { type: 'compare' }>, scope: Scope): boolean {
    let left = this.value(node.first, scope)
    for (const [operator, expression] of node.rest) {
      const right = this.value(expression, scope)
      if (!holds(operator, left, right)) return false
      left = right
    }
    return true
  }

  /** The values of a call's arguments, spread ones spread. */
  arguments(args: Arguments, scope: Scope): CallArguments {
    const call: CallArguments = { args: [], named: new Map() }
    for (const { value, spread } of args.positional) {
      const given = this.value(value, scope)
      if (spread) call.args.push(...iterate(given))
      else call.args.push(given)
    }
    for (const { name, value } of args.named) {
      const given = this.value(value, scope)
      if (name !== null) call.named.set(name, given)
      else if (isDict(given)) for (const [key, entry] of given) call.named.set(toText(key), entry)
      else throw typeError(`argument after ** must be a mapping, not ${typeName(given)}`)
    }
    return call
  }

  /** A filter expression; `input` stands in where the innermost has no target. */
  filterOf(node: Expression, input: Value, scope: Scope): Value {
    if (node.type !== 'filter') return this.value(node, scope)
    const value = node.target ? this.filterOf(node.target, input, scope) : input
    return this.#applyFilter(node.name, value, this.arguments(node.args, scope))
  }

  #applyFilter(name: string, value: Value, call: CallArguments): Value {
    this.step()
    const filter = Object.hasOwn(this.#filters, name) ? this.#filters[name] : undefined
    if (!filter) throw new JinjaError('TemplateAssertionError', `No filter named '${name}'.`)
    return filter(value, call)
  }

  #applyTest(name: string, value: Value, call: CallArguments): boolean {
    this.step()
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
