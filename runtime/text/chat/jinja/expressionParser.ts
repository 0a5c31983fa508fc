import type { Arguments, BinaryOperator, CompareOperator, Expression } from './ast.ts'
import type { TokenStream } from './tokenStream.ts'

/** Names that are values, and so cannot be assigned to. */
export const constants = new Map<string, boolean | null>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
])
const compareOperators = ['==', '!=', '<', '<=', '>', '>='] as const

/**
 * Parses expressions at the cursor of a token stream; its methods throw JinjaError of kind TemplateSyntaxError.
 * Source: jinja2 `parser.py`.
 */
export class ExpressionParser {
  readonly #tokens: TokenStream

  constructor(tokens: TokenStream) {
    this.#tokens = tokens
  }

  /** Expressions with commas between make a tuple, even without parentheses. */
  tuple(
    options: { withConditional?: boolean; ends?: string[]; inParentheses?: boolean } = {},
  ): Expression {
    const { withConditional = true, ends = [], inParentheses = false } = options
    const parse = () => (withConditional ? this.expression() : this.#or())
    const isEnd = () =>
      this.#tokens.is('variableEnd') ||
      this.#tokens.is('blockEnd') ||
      this.#tokens.is('operator', ')') ||
      ends.some(end => this.#tokens.is('name', end))
    const items: Expression[] = []
    let isTuple = false
    while (!isEnd()) {
      items.push(parse())
      if (!this.#tokens.skip('operator', ',')) break
      isTuple = true
    }
    const [single] = items
    if (!isTuple && single !== undefined) return single
    if (single === undefined && !inParentheses) {
      throw this.#tokens.error(
        `Expected an expression, got '${this.#tokens.describe(this.#tokens.current)}'`,
      )
    }
    return { type: 'tuple', items }
  }

  /** One expression, without commas. */
  expression(): Expression {
    return this.#tokens.nested(() => {
      let value = this.#or()
      while (this.#tokens.skip('name', 'if')) {
        const test = this.#or()
        const otherwise = this.#tokens.skip('name', 'else') ? this.expression() : null
        value = { type: 'conditional', test, value, else: otherwise }
      }
      return value
    })
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#tokens.skip('name', 'or')) {
      left = { type: 'binary', operator: 'or', left, right: this.#and() }
    }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.#tokens.skip('name', 'and')) {
      left = { type: 'binary', operator: 'and', left, right: this.#not() }
    }
    return left
  }

  #not(): Expression {
    return this.#tokens.nested(() =>
      this.#tokens.skip('name', 'not')
        ? { type: 'unary', operator: 'not', operand: this.#not() }
        : this.#compare(),
    )
  }

  #compare(): Expression {
    const first = this.#sum()
    const rest: [CompareOperator, Expression][] = []
    for (;;) {
      const symbol = compareOperators.find(value => this.#tokens.is('operator', value))
      if (symbol !== undefined) {
        this.#tokens.take()
        rest.push([symbol, this.#sum()])
      } else if (this.#tokens.skip('name', 'in')) {
        rest.push(['in', this.#sum()])
      } else if (this.#tokens.is('name', 'not') && this.#tokens.next?.value === 'in') {
        this.#tokens.take()
        this.#tokens.take()
        rest.push(['not in', this.#sum()])
      } else {
        return rest.length === 0 ? first : { type: 'compare', first, rest }
      }
    }
  }

  #leftBinary(operators: BinaryOperator[], parse: () => Expression): Expression {
    let left = parse()
    for (;;) {
      const operator = operators.find(value => this.#tokens.is('operator', value))
      if (operator === undefined) return left
      this.#tokens.take()
      left = { type: 'binary', operator, left, right: parse() }
    }
  }

  #sum(): Expression {
    return this.#leftBinary(['+', '-'], () => this.#concat())
  }

  #concat(): Expression {
    const items = [this.#product()]
    while (this.#tokens.skip('operator', '~')) items.push(this.#product())
    const [single] = items
    return items.length === 1 && single ? single : { type: 'concat', items }
  }

  #product(): Expression {
    return this.#leftBinary(['*', '/', '//', '%'], () =>
      this.#leftBinary(['**'], () => this.#unary(true)),
    )
  }

  #unary(withFilters: boolean): Expression {
    return this.#tokens.nested(() => {
      let value: Expression
      if (this.#tokens.skip('operator', '-')) {
        value = { type: 'unary', operator: '-', operand: this.#unary(false) }
      } else if (this.#tokens.skip('operator', '+')) {
        value = { type: 'unary', operator: '+', operand: this.#unary(false) }
      } else {
        value = this.#primary()
      }
      value = this.#postfix(value)
      return withFilters ? this.#filtersAndTests(value) : value
    })
  }

  #primary(): Expression {
    const token = this.#tokens.take()
    switch (token.type) {
      case 'name': {
        const constant = constants.get(token.value)
        return constant === undefined
          ? { type: 'name', name: token.value }
          : { type: 'const', value: constant }
      }
      case 'string': {
        let value = token.value
        while (this.#tokens.is('string')) value += this.#tokens.take().value
        return { type: 'const', value }
      }
      case 'integer':
        return { type: 'const', value: Number(token.value) }
      case 'float':
        return { type: 'float', value: Number(token.value) }
      case 'operator':
        if (token.value === '(') {
          const value = this.tuple({ inParentheses: true })
          this.#tokens.expect('operator', ')')
          return value
        }
        if (token.value === '[') return this.#list()
        if (token.value === '{') return this.#dict()
    }
    throw this.#tokens.error(`unexpected '${this.#tokens.describe(token)}'`, token.line)
  }

  #list(): Expression {
    const items: Expression[] = []
    while (!this.#tokens.is('operator', ']')) {
      if (items.length > 0) this.#tokens.expect('operator', ',')
      if (this.#tokens.is('operator', ']')) break
      items.push(this.expression())
    }
    this.#tokens.expect('operator', ']')
    return { type: 'list', items }
  }

  #dict(): Expression {
    const items: [Expression, Expression][] = []
    while (!this.#tokens.is('operator', '}')) {
      if (items.length > 0) this.#tokens.expect('operator', ',')
      if (this.#tokens.is('operator', '}')) break
      const key = this.expression()
      this.#tokens.expect('operator', ':')
      items.push([key, this.expression()])
    }
    this.#tokens.expect('operator', '}')
    return { type: 'dict', items }
  }

  #postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.#tokens.skip('operator', '.')) {
        const token = this.#tokens.take()
        if (token.type === 'name') value = { type: 'attribute', target: value, name: token.value }
        else if (token.type === 'integer') {
          const index: Expression = { type: 'const', value: Number(token.value) }
          value = { type: 'item', target: value, index }
        } else throw this.#tokens.error('expected name or number', token.line)
      } else if (this.#tokens.skip('operator', '[')) {
        value = { type: 'item', target: value, index: this.#subscript() }
      } else if (this.#tokens.is('operator', '(')) {
        value = { type: 'call', target: value, args: this.#arguments() }
      } else {
        return value
      }
    }
  }

  #subscript(): Expression {
    const items: Expression[] = []
    while (!this.#tokens.is('operator', ']')) {
      if (items.length > 0) this.#tokens.expect('operator', ',')
      items.push(this.#subscriptItem())
    }
    this.#tokens.expect('operator', ']')
    const [single] = items
    if (single === undefined) throw this.#tokens.error('expected subscript expression')
    return items.length === 1 ? single : { type: 'tuple', items }
  }

  #subscriptItem(): Expression {
    const bound = () =>
      this.#tokens.is('operator', ':') ||
      this.#tokens.is('operator', ']') ||
      this.#tokens.is('operator', ',')
        ? null
        : this.expression()
    const start = bound()
    if (!this.#tokens.skip('operator', ':')) {
      if (start === null) throw this.#tokens.error('expected subscript expression')
      return start
    }
    const stop = bound()
    const step = this.#tokens.skip('operator', ':') ? bound() : null
    return { type: 'slice', start, stop, step }
  }

  #arguments(): Arguments {
    const args: Arguments = { positional: [], named: [] }
    this.#tokens.expect('operator', '(')
    let isFirst = true
    while (!this.#tokens.is('operator', ')')) {
      if (!isFirst) {
        this.#tokens.expect('operator', ',')
        if (this.#tokens.is('operator', ')')) break
      }
      isFirst = false
      const next = this.#tokens.next
      if (this.#tokens.skip('operator', '*')) {
        args.positional.push({ value: this.expression(), spread: true })
      } else if (this.#tokens.skip('operator', '**')) {
        args.named.push({ name: null, value: this.expression() })
      } else if (this.#tokens.is('name') && next?.type === 'operator' && next.value === '=') {
        const name = this.#tokens.take().value
        this.#tokens.take()
        args.named.push({ name, value: this.expression() })
      } else {
        if (args.named.length > 0)
          throw this.#tokens.error('invalid syntax for function call expression')
        args.positional.push({ value: this.expression(), spread: false })
      }
    }
    this.#tokens.expect('operator', ')')
    return args
  }

  #filtersAndTests(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.#tokens.is('operator', '|')) value = this.filters(value, false)
      else if (this.#tokens.skip('name', 'is')) value = this.#test(value)
      else if (this.#tokens.is('operator', '(')) {
        value = { type: 'call', target: value, args: this.#arguments() }
      } else return value
    }
  }

  /** One or more filters; `startsInline`: the first comes without a bar. */
  filters(target: Expression | null, startsInline: boolean): Expression {
    let value = target
    let isInline = startsInline
    while (isInline || this.#tokens.skip('operator', '|')) {
      isInline = false
      const name = this.#dottedName()
      const args = this.#tokens.is('operator', '(')
        ? this.#arguments()
        : { positional: [], named: [] }
      value = { type: 'filter', target: value, name, args }
    }
    if (value === null) throw this.#tokens.error('expected a filter')
    return value
  }

  #dottedName(): string {
    let name = this.#tokens.expect('name').value
    while (this.#tokens.skip('operator', '.')) name += `.${this.#tokens.expect('name').value}`
    return name
  }

  #test(target: Expression): Expression {
    const isNegated = this.#tokens.skip('name', 'not')
    const name = this.#dottedName()
    let args: Arguments = { positional: [], named: [] }
    const token = this.#tokens.current
    const isOperand =
      ['name', 'string', 'integer', 'float'].includes(token.type) ||
      this.#tokens.is('operator', '[') ||
      this.#tokens.is('operator', '{')
    const isKeyword =
      token.type === 'name' && ['else', 'or', 'and', 'if', 'in', 'not'].includes(token.value)
    if (this.#tokens.is('operator', '(')) {
      args = this.#arguments()
    } else if (isOperand && !isKeyword) {
      if (this.#tokens.is('name', 'is'))
        throw this.#tokens.error('You cannot chain multiple tests with is')
      args = { positional: [{ value: this.#postfix(this.#primary()), spread: false }], named: [] }
    }
    const test: Expression = { type: 'test', target, name, args }
    return isNegated ? { type: 'unary', operator: 'not', operand: test } : test
  }
}
