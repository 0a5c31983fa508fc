import type { Parameter, Statement, Target } from './ast.ts'
import { callValue } from './attributes.ts'
import { JinjaError, typeError, valueError } from './errors.ts'
import { Evaluator } from './evaluator.ts'
import { Loop } from './loop.ts'
import { Scope } from './scope.ts'
import {
  Callable,
  isTrue,
  iterate,
  Namespace,
  orElse,
  Tuple,
  toText,
  Undefined,
  type Value,
} from './values.ts'

/** Bound on one rendering: templates come with models and must not fill a server's memory. */
const maxOutputChars = 64 * 2 ** 20

type Flow = 'next' | 'break' | 'continue'

/** Renders a parsed template. @throws JinjaError */
export function renderTemplate(statements: Statement[], variables: Map<string, Value>): string {
  return new Interpreter().render(statements, variables)
}

class Interpreter {
  readonly #evaluator = new Evaluator()
  #out = ''

  render(statements: Statement[], variables: Map<string, Value>): string {
    const scope = new Scope()
    for (const [name, value] of variables) scope.set(name, value)
    return this.#capture(statements, scope)
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
    this.#evaluator.step()
    switch (statement.type) {
      case 'text':
        this.#emit(statement.text)
        return 'next'
      case 'output':
        this.#emit(toText(this.#evaluator.value(statement.value, scope)))
        return 'next'
      case 'if':
        for (const { test, body } of statement.branches) {
          if (isTrue(this.#evaluator.value(test, scope))) return this.#run(body, scope)
        }
        return this.#run(statement.else, scope)
      case 'for':
        this.#for(statement, this.#evaluator.value(statement.iterable, scope), scope, 0)
        return 'next'
      case 'break':
      case 'continue':
        return statement.type
      case 'set':
        this.#assign(statement.target, this.#evaluator.value(statement.value, scope), scope)
        return 'next'
      case 'setBlock': {
        const text = this.#capture(statement.body, new Scope(scope))
        const value = statement.filter
          ? this.#evaluator.filterOf(statement.filter, text, scope)
          : text
        this.#assign(statement.target, value, scope)
        return 'next'
      }
      case 'with': {
        const inner = new Scope(scope)
        for (const [target, value] of statement.bindings) {
          this.#assign(target, this.#evaluator.value(value, scope), inner)
        }
        return this.#run(statement.body, inner)
      }
      case 'scope':
        return this.#run(statement.body, new Scope(scope))
      case 'filterBlock': {
        const text = this.#capture(statement.body, new Scope(scope))
        this.#emit(toText(this.#evaluator.filterOf(statement.filter, text, scope)))
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
        const call = this.#evaluator.arguments(statement.call.args, scope)
        call.named.set('caller', caller)
        this.#emit(toText(callValue(this.#evaluator.value(statement.call.target, scope), call)))
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
        return isTrue(this.#evaluator.value(test, inner))
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
      this.#evaluator.step()
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
      this.#evaluator.step()
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
      ? this.#evaluator.value(parameter.fallback, scope)
      : new Undefined(`parameter '${parameter.name}' was not provided`)
  }
}

/** Whether a tree reads a name anywhere. */
function mentions(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if ('type' in node && node.type === 'name' && 'name' in node && node.name === name) return true
  return Object.values(node).some(value => mentions(value, name))
}
