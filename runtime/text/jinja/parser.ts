import type {
  Arguments,
  BinaryOperator,
  CompareOperator,
  Expression,
  Parameter,
  Statement,
  Target,
} from './ast.ts'
import { JinjaError } from './errors.ts'
import { type Token, type TokenType, tokenize } from './lexer.ts'

/**
 * Parses a template.
 * @throws JinjaError of kind TemplateSyntaxError
 * Source: jinja2 `parser.py`, with loop controls and transformers' `generation` blocks.
 */
export function parseTemplate(template: string): Statement[] {
  return new Parser(tokenize(template)).parse()
}

const constants = new Map<string, boolean | null>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
])
const compareOperators = ['==', '!=', '<', '<=', '>', '>='] as const
const maxDepth = 200

class Parser {
  readonly #tokens: Token[]
  #at = 0
  #depth = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  parse(): Statement[] {
    return this.#statements([])
  }

  get #current(): Token {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1)
    return token ?? { type: 'end', value: '', line: 1 }
  }

  #error(message: string, line = this.#current.line): JinjaError {
    return new JinjaError('TemplateSyntaxError', `${message} (line ${line})`)
  }

  #describe(token: Token): string {
    if (token.type === 'end') return 'end of template'
    if (token.type === 'blockEnd') return 'end of statement block'
    if (token.type === 'variableEnd') return 'end of print statement'
    return token.value
  }

  #is(type: TokenType, value?: string): boolean {
    const token = this.#current
    return token.type === type && (value === undefined || token.value === value)
  }

  #skip(type: TokenType, value?: string): boolean {
    if (!this.#is(type, value)) return false
    this.#at += 1
    return true
  }

  #expect(type: TokenType, value?: string): Token {
    const token = this.#current
    if (!this.#is(type, value)) {
      const wanted = value ?? (type === 'blockEnd' ? 'end of statement block' : type)
      throw this.#error(`expected token '${wanted}', got '${this.#describe(token)}'`)
    }
    this.#at += 1
    return token
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > maxDepth) throw this.#error('nested too deeply')
    const result = parse()
    this.#depth -= 1
    return result
  }

  /** Statements up to a tag that is one of `ends`, which stays, or the end of the template. */
  #statements(ends: string[]): Statement[] {
    return this.#nested(() => {
      const statements: Statement[] = []
      for (;;) {
        const token = this.#current
        if (token.type === 'data') {
          this.#at += 1
          statements.push({ type: 'text', text: token.value })
        } else if (token.type === 'variableBegin') {
          this.#at += 1
          statements.push({ type: 'output', value: this.#tuple() })
          this.#expect('variableEnd')
        } else if (token.type === 'blockBegin') {
          const tag = this.#tokens[this.#at + 1]
          if (tag?.type === 'name' && ends.includes(tag.value)) return statements
          this.#at += 1
          const name = this.#expect('name')
          statements.push(this.#statement(name))
        } else {
          if (ends.length > 0) {
            throw this.#error(`Unexpected end of template, expected one of: ${ends.join(', ')}`)
          }
          return statements
        }
      }
    })
  }

  /** The body of a block up to `{% end %}`, the opening tag's end included. */
  #body(end: string): Statement[] {
    this.#expect('blockEnd')
    const body = this.#statements([end])
    this.#closeTag(end)
    return body
  }

  #closeTag(name: string): void {
    this.#expect('blockBegin')
    this.#expect('name', name)
    this.#expect('blockEnd')
  }

  #statement(tag: Token): Statement {
    switch (tag.value) {
      case 'if':
        return this.#if()
      case 'for':
        return this.#for()
      case 'set':
        return this.#set()
      case 'macro':
        return this.#macro()
      case 'call':
        return this.#callBlock()
      case 'filter': {
        const filter = this.#filters(null, true)
        return { type: 'filterBlock', filter, body: this.#body('endfilter') }
      }
      case 'with':
        return this.#with()
      case 'generation':
        return { type: 'scope', body: this.#body('endgeneration') }
      case 'break':
      case 'continue':
        this.#expect('blockEnd')
        return { type: tag.value }
      default:
        throw this.#error(`Encountered unknown tag '${tag.value}'.`, tag.line)
    }
  }

  #if(): Statement {
    const branches: { test: Expression; body: Statement[] }[] = []
    for (;;) {
      const test = this.#tuple({ withConditional: false })
      this.#expect('blockEnd')
      const body = this.#statements(['elif', 'else', 'endif'])
      branches.push({ test, body })
      this.#expect('blockBegin')
      if (this.#skip('name', 'elif')) continue
      if (this.#skip('name', 'else')) {
        return { type: 'if', branches, else: this.#body('endif') }
      }
      this.#expect('name', 'endif')
      this.#expect('blockEnd')
      return { type: 'if', branches, else: [] }
    }
  }

  #for(): Statement {
    const target = this.#target(['in'])
    this.#expect('name', 'in')
    const iterable = this.#tuple({ withConditional: false, ends: ['recursive'] })
    const test = this.#skip('name', 'if') ? this.#expression() : null
    const isRecursive = this.#skip('name', 'recursive')
    this.#expect('blockEnd')
    const body = this.#statements(['endfor', 'else'])
    this.#expect('blockBegin')
    if (this.#skip('name', 'endfor')) {
      this.#expect('blockEnd')
      return { type: 'for', target, iterable, test, isRecursive, body, else: [] }
    }
    this.#expect('name', 'else')
    return { type: 'for', target, iterable, test, isRecursive, body, else: this.#body('endfor') }
  }

  #set(): Statement {
    const target = this.#target([], true)
    if (this.#skip('operator', '=')) {
      const value = this.#tuple()
      this.#expect('blockEnd')
      return { type: 'set', target, value }
    }
    const filter = this.#is('operator', '|') ? this.#filters(null, false) : null
    return { type: 'setBlock', target, filter, body: this.#body('endset') }
  }

  #with(): Statement {
    const bindings: [Target, Expression][] = []
    while (!this.#is('blockEnd')) {
      if (bindings.length > 0) this.#expect('operator', ',')
      const target: Target = { type: 'name', name: this.#expect('name').value }
      this.#expect('operator', '=')
      bindings.push([target, this.#expression()])
    }
    return { type: 'with', bindings, body: this.#body('endwith') }
  }

  #macro(): Statement {
    const name = this.#expect('name').value
    const parameters = this.#parameters()
    return { type: 'macro', name, parameters, body: this.#body('endmacro') }
  }

  #callBlock(): Statement {
    const parameters = this.#is('operator', '(') ? this.#parameters() : []
    const call = this.#expression()
    if (call.type !== 'call') throw this.#error('expected call')
    return { type: 'callBlock', call, parameters, body: this.#body('endcall') }
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = []
    this.#expect('operator', '(')
    while (!this.#is('operator', ')')) {
      if (parameters.length > 0) this.#expect('operator', ',')
      const name = this.#expect('name').value
      const fallback = this.#skip('operator', '=') ? this.#expression() : null
      if (fallback === null && parameters.some(p => p.fallback !== null)) {
        throw this.#error('non-default argument follows default argument')
      }
      parameters.push({ name, fallback })
    }
    this.#expect('operator', ')')
    return parameters
  }

  #target(ends: string[], allowsNamespace = false): Target {
    const first = this.#targetItem(allowsNamespace)
    if (!this.#is('operator', ',')) return first
    const items = [first]
    while (this.#skip('operator', ',')) {
      if (this.#is('operator', '=') || ends.some(end => this.#is('name', end))) break
      items.push(this.#targetItem(false))
    }
    return { type: 'tuple', items }
  }

  #targetItem(allowsNamespace: boolean): Target {
    if (this.#skip('operator', '(')) {
      const target = this.#target([])
      this.#expect('operator', ')')
      return target
    }
    const { value: name } = this.#expect('name')
    if (constants.has(name)) throw this.#error(`can't assign to '${name}'`)
    if (allowsNamespace && this.#skip('operator', '.')) {
      return { type: 'namespace', name, attribute: this.#expect('name').value }
    }
    return { type: 'name', name }
  }

  /** Expressions with commas between make a tuple, even without parentheses. */
  #tuple(options: { withConditional?: boolean; ends?: string[]; inParentheses?: boolean } = {}) {
    const { withConditional = true, ends = [], inParentheses = false } = options
    const parse = () => (withConditional ? this.#expression() : this.#or())
    const isEnd = () =>
      this.#is('variableEnd') ||
      this.#is('blockEnd') ||
      this.#is('operator', ')') ||
      ends.some(end => this.#is('name', end))
    const items: Expression[] = []
    let isTuple = false
    while (!isEnd()) {
      items.push(parse())
      if (!this.#skip('operator', ',')) break
      isTuple = true
    }
    const [single] = items
    if (!isTuple && single !== undefined) return single
    if (single === undefined && !inParentheses) {
      throw this.#error(`Expected an expression, got '${this.#describe(this.#current)}'`)
    }
    return { type: 'tuple', items } as const
  }

  #expression(): Expression {
    return this.#nested(() => {
      let value = this.#or()
      while (this.#skip('name', 'if')) {
        const test = this.#or()
        const otherwise = this.#skip('name', 'else') ? this.#expression() : null
        value = { type: 'conditional', test, value, else: otherwise }
      }
      return value
    })
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#skip('name', 'or')) {
      left = { type: 'binary', operator: 'or', left, right: this.#and() }
    }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.#skip('name', 'and')) {
      left = { type: 'binary', operator: 'and', left, right: this.#not() }
    }
    return left
  }

  #not(): Expression {
    return this.#nested(() =>
      this.#skip('name', 'not')
        ? { type: 'unary', operator: 'not', operand: this.#not() }
        : this.#compare(),
    )
  }

  #compare(): Expression {
    const first = this.#sum()
    const rest: [CompareOperator, Expression][] = []
    for (;;) {
      const symbol = compareOperators.find(value => this.#is('operator', value))
      if (symbol !== undefined) {
        this.#at += 1
        rest.push([symbol, this.#sum()])
      } else if (this.#skip('name', 'in')) {
        rest.push(['in', this.#sum()])
      } else if (this.#is('name', 'not') && this.#tokens[this.#at + 1]?.value === 'in') {
        this.#at += 2
        rest.push(['not in', this.#sum()])
      } else {
        return rest.length === 0 ? first : { type: 'compare', first, rest }
      }
    }
  }

  #leftBinary(operators: BinaryOperator[], parse: () => Expression): Expression {
    let left = parse()
    for (;;) {
      const operator = operators.find(value => this.#is('operator', value))
      if (operator === undefined) return left
      this.#at += 1
      left = { type: 'binary', operator, left, right: parse() }
    }
  }

  #sum(): Expression {
    return this.#leftBinary(['+', '-'], () => this.#concat())
  }

  #concat(): Expression {
    const items = [this.#product()]
    while (this.#skip('operator', '~')) items.push(this.#product())
    const [single] = items
    return items.length === 1 && single ? single : { type: 'concat', items }
  }

  #product(): Expression {
    return this.#leftBinary(['*', '/', '//', '%'], () =>
      this.#leftBinary(['**'], () => this.#unary(true)),
    )
  }

  #unary(withFilters: boolean): Expression {
    return this.#nested(() => {
      let value: Expression
      if (this.#skip('operator', '-')) {
        value = { type: 'unary', operator: '-', operand: this.#unary(false) }
      } else if (this.#skip('operator', '+')) {
        value = { type: 'unary', operator: '+', operand: this.#unary(false) }
      } else {
        value = this.#primary()
      }
      value = this.#postfix(value)
      return withFilters ? this.#filtersAndTests(value) : value
    })
  }

  #primary(): Expression {
    const token = this.#current
    this.#at += 1
    switch (token.type) {
      case 'name': {
        const constant = constants.get(token.value)
        return constant === undefined
          ? { type: 'name', name: token.value }
          : { type: 'const', value: constant }
      }
      case 'string': {
        let value = token.value
        while (this.#is('string')) {
          value += this.#current.value
          this.#at += 1
        }
        return { type: 'const', value }
      }
      case 'integer':
        return { type: 'const', value: Number(token.value) }
      case 'float':
        return { type: 'float', value: Number(token.value) }
      case 'operator':
        if (token.value === '(') {
          const value = this.#tuple({ inParentheses: true })
          this.#expect('operator', ')')
          return value
        }
        if (token.value === '[') return this.#list()
        if (token.value === '{') return this.#dict()
    }
    throw this.#error(`unexpected '${this.#describe(token)}'`, token.line)
  }

  #list(): Expression {
    const items: Expression[] = []
    while (!this.#is('operator', ']')) {
      if (items.length > 0) this.#expect('operator', ',')
      if (this.#is('operator', ']')) break
      items.push(this.#expression())
    }
    this.#expect('operator', ']')
    return { type: 'list', items }
  }

  #dict(): Expression {
    const items: [Expression, Expression][] = []
    while (!this.#is('operator', '}')) {
      if (items.length > 0) this.#expect('operator', ',')
      if (this.#is('operator', '}')) break
      const key = this.#expression()
      this.#expect('operator', ':')
      items.push([key, this.#expression()])
    }
    this.#expect('operator', '}')
    return { type: 'dict', items }
  }

  #postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.#skip('operator', '.')) {
        const token = this.#current
        this.#at += 1
        if (token.type === 'name') value = { type: 'attribute', target: value, name: token.value }
        else if (token.type === 'integer') {
          const index: Expression = { type: 'const', value: Number(token.value) }
          value = { type: 'item', target: value, index }
        } else throw this.#error('expected name or number', token.line)
      } else if (this.#skip('operator', '[')) {
        value = { type: 'item', target: value, index: this.#subscript() }
      } else if (this.#is('operator', '(')) {
        value = { type: 'call', target: value, args: this.#arguments() }
      } else {
        return value
      }
    }
  }

  #subscript(): Expression {
    const items: Expression[] = []
    while (!this.#is('operator', ']')) {
      if (items.length > 0) this.#expect('operator', ',')
      items.push(this.#subscriptItem())
    }
    this.#expect('operator', ']')
    const [single] = items
    if (single === undefined) throw this.#error('expected subscript expression')
    return items.length === 1 ? single : { type: 'tuple', items }
  }

  #subscriptItem(): Expression {
    const bound = () =>
      this.#is('operator', ':') || this.#is('operator', ']') || this.#is('operator', ',')
        ? null
        : this.#expression()
    const start = bound()
    if (!this.#skip('operator', ':')) {
      if (start === null) throw this.#error('expected subscript expression')
      return start
    }
    const stop = bound()
    const step = this.#skip('operator', ':') ? bound() : null
    return { type: 'slice', start, stop, step }
  }

  #arguments(): Arguments {
    const args: Arguments = { positional: [], named: [] }
    this.#expect('operator', '(')
    let isFirst = true
    while (!this.#is('operator', ')')) {
      if (!isFirst) {
        this.#expect('operator', ',')
        if (this.#is('operator', ')')) break
      }
      isFirst = false
      const next = this.#tokens[this.#at + 1]
      if (this.#skip('operator', '*')) {
        args.positional.push({ value: this.#expression(), spread: true })
      } else if (this.#skip('operator', '**')) {
        args.named.push({ name: null, value: this.#expression() })
      } else if (this.#is('name') && next?.type === 'operator' && next.value === '=') {
        const name = this.#current.value
        this.#at += 2
        args.named.push({ name, value: this.#expression() })
      } else {
        if (args.named.length > 0) throw this.#error('invalid syntax for function call expression')
        args.positional.push({ value: this.#expression(), spread: false })
      }
    }
    this.#expect('operator', ')')
    return args
  }

  #filtersAndTests(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.#is('operator', '|')) value = this.#filters(value, false)
      else if (this.#skip('name', 'is')) value = this.#test(value)
      else if (this.#is('operator', '(')) {
        value = { type: 'call', target: value, args: this.#arguments() }
      } else return value
    }
  }

  /** One or more filters; `startsInline`: the first comes without a bar. */
  #filters(target: Expression | null, startsInline: boolean): Expression {
    let value = target
    let isInline = startsInline
    while (isInline || this.#skip('operator', '|')) {
      isInline = false
      const name = this.#dottedName()
      const args = this.#is('operator', '(') ? this.#arguments() : { positional: [], named: [] }
      value = { type: 'filter', target: value, name, args }
    }
    if (value === null) throw this.#error('expected a filter')
    return value
  }

  #dottedName(): string {
    let name = this.#expect('name').value
    while (this.#skip('operator', '.')) name += `.${this.#expect('name').value}`
    return name
  }

  #test(target: Expression): Expression {
    const isNegated = this.#skip('name', 'not')
    const name = this.#dottedName()
    let args: Arguments = { positional: [], named: [] }
    const token = this.#current
    const isOperand =
      ['name', 'string', 'integer', 'float'].includes(token.type) ||
      this.#is('operator', '[') ||
      this.#is('operator', '{')
    const isKeyword =
      token.type === 'name' && ['else', 'or', 'and', 'if', 'in', 'not'].includes(token.value)
    if (this.#is('operator', '(')) {
      args = this.#arguments()
    } else if (isOperand && !isKeyword) {
      if (this.#is('name', 'is')) throw this.#error('You cannot chain multiple tests with is')
      args = { positional: [{ value: this.#postfix(this.#primary()), spread: false }], named: [] }
    }
    const test: Expression = { type: 'test', target, name, args }
    return isNegated ? { type: 'unary', operator: 'not', operand: test } : test
  }
}
