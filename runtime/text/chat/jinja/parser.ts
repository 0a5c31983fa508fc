import type { Expression, Parameter, Statement, Target } from './ast.ts'
import { constants, ExpressionParser } from './expressionParser.ts'
import { type Token, tokenize } from './lexer.ts'
import { TokenStream } from './tokenStream.ts'

/**
 * Parses a template.
 * @throws JinjaError of kind TemplateSyntaxError
 * Source: jinja2 `parser.py`, with loop controls and transformers' `generation` blocks.
 */
export function parseTemplate(template: string): Statement[] {
  return new StatementParser(new TokenStream(tokenize(template))).parse()
}

class StatementParser {
  readonly #tokens: TokenStream
  readonly #expressions: ExpressionParser

  constructor(tokens: TokenStream) {
    this.#tokens = tokens
    this.#expressions = new ExpressionParser(tokens)
  }

  parse(): Statement[] {
    return this.#statements([])
  }

  /** Statements up to a tag that is one of `ends`, which stays, or the end of the template. */
  #statements(ends: string[]): Statement[] {
    return this.#tokens.nested(() => {
      const statements: Statement[] = []
      for (;;) {
        const token = this.#tokens.current
        if (token.type === 'data') {
          this.#tokens.take()
          statements.push({ type: 'text', text: token.value })
        } else if (token.type === 'variableBegin') {
          this.#tokens.take()
          statements.push({ type: 'output', value: this.#expressions.tuple() })
          this.#tokens.expect('variableEnd')
        } else if (token.type === 'blockBegin') {
          const tag = this.#tokens.next
          if (tag?.type === 'name' && ends.includes(tag.value)) return statements
          this.#tokens.take()
          const name = this.#tokens.expect('name')
          statements.push(this.#statement(name))
        } else {
          if (ends.length > 0) {
            throw this.#tokens.error(
              `Unexpected end of template, expected one of: ${ends.join(', ')}`,
            )
          }
          return statements
        }
      }
    })
  }

  /** The body of a block up to `{% end %}`, the opening tag's end included. */
  #body(end: string): Statement[] {
    this.#tokens.expect('blockEnd')
    const body = this.#statements([end])
    this.#closeTag(end)
    return body
  }

  #closeTag(name: string): void {
    this.#tokens.expect('blockBegin')
    this.#tokens.expect('name', name)
    this.#tokens.expect('blockEnd')
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
        const filter = this.#expressions.filters(null, true)
        return { type: 'filterBlock', filter, body: this.#body('endfilter') }
      }
      case 'with':
        return this.#with()
      case 'generation':
        return { type: 'scope', body: this.#body('endgeneration') }
      case 'break':
      case 'continue':
        this.#tokens.expect('blockEnd')
        return { type: tag.value }
      default:
        throw this.#tokens.error(`Encountered unknown tag '${tag.value}'.`, tag.line)
    }
  }

  #if(): Statement {
    const branches: { test: Expression; body: Statement[] }[] = []
    for (;;) {
      const test = this.#expressions.tuple({ withConditional: false })
      this.#tokens.expect('blockEnd')
      const body = this.#statements(['elif', 'else', 'endif'])
      branches.push({ test, body })
      this.#tokens.expect('blockBegin')
      if (this.#tokens.skip('name', 'elif')) continue
      if (this.#tokens.skip('name', 'else')) {
        return { type: 'if', branches, else: this.#body('endif') }
      }
      this.#tokens.expect('name', 'endif')
      this.#tokens.expect('blockEnd')
      return { type: 'if', branches, else: [] }
    }
  }

  #for(): Statement {
    const target = this.#target(['in'])
    this.#tokens.expect('name', 'in')
    const iterable = this.#expressions.tuple({ withConditional: false, ends: ['recursive'] })
    const test = this.#tokens.skip('name', 'if') ? this.#expressions.expression() : null
    const isRecursive = this.#tokens.skip('name', 'recursive')
    this.#tokens.expect('blockEnd')
    const body = this.#statements(['endfor', 'else'])
    this.#tokens.expect('blockBegin')
    if (this.#tokens.skip('name', 'endfor')) {
      this.#tokens.expect('blockEnd')
      return { type: 'for', target, iterable, test, isRecursive, body, else: [] }
    }
    this.#tokens.expect('name', 'else')
    return { type: 'for', target, iterable, test, isRecursive, body, else: this.#body('endfor') }
  }

  #set(): Statement {
    const target = this.#target([], true)
    if (this.#tokens.skip('operator', '=')) {
      const value = this.#expressions.tuple()
      this.#tokens.expect('blockEnd')
      return { type: 'set', target, value }
    }
    const filter = this.#tokens.is('operator', '|') ? this.#expressions.filters(null, false) : null
    return { type: 'setBlock', target, filter, body: this.#body('endset') }
  }

  #with(): Statement {
    const bindings: [Target, Expression][] = []
    while (!this.#tokens.is('blockEnd')) {
      if (bindings.length > 0) this.#tokens.expect('operator', ',')
      const target: Target = { type: 'name', name: this.#tokens.expect('name').value }
      this.#tokens.expect('operator', '=')
      bindings.push([target, this.#expressions.expression()])
    }
    return { type: 'with', bindings, body: this.#body('endwith') }
  }

  #macro(): Statement {
    const name = this.#tokens.expect('name').value
    const parameters = this.#parameters()
    return { type: 'macro', name, parameters, body: this.#body('endmacro') }
  }

  #callBlock(): Statement {
    const parameters = this.#tokens.is('operator', '(') ? this.#parameters() : []
    const call = this.#expressions.expression()
    if (call.type !== 'call') throw this.#tokens.error('expected call')
    return { type: 'callBlock', call, parameters, body: this.#body('endcall') }
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = []
    this.#tokens.expect('operator', '(')
    while (!this.#tokens.is('operator', ')')) {
      if (parameters.length > 0) this.#tokens.expect('operator', ',')
      const name = this.#tokens.expect('name').value
      const fallback = this.#tokens.skip('operator', '=') ? this.#expressions.expression() : null
      if (fallback === null && parameters.some(p => p.fallback !== null)) {
        throw this.#tokens.error('non-default argument follows default argument')
      }
      parameters.push({ name, fallback })
    }
    this.#tokens.expect('operator', ')')
    return parameters
  }

  #target(ends: string[], allowsNamespace = false): Target {
    const first = this.#targetItem(allowsNamespace)
    if (!this.#tokens.is('operator', ',')) return first
    const items = [first]
    while (this.#tokens.skip('operator', ',')) {
      if (this.#tokens.is('operator', '=') || ends.some(end => this.#tokens.is('name', end))) break
      items.push(this.#targetItem(false))
    }
    return { type: 'tuple', items }
  }

  #targetItem(allowsNamespace: boolean): Target {
    if (this.#tokens.skip('operator', '(')) {
      const target = this.#target([])
      this.#tokens.expect('operator', ')')
      return target
    }
    const { value: name } = this.#tokens.expect('name')
    if (constants.has(name)) throw this.#tokens.error(`can't assign to '${name}'`)
    if (allowsNamespace && this.#tokens.skip('operator', '.')) {
      return { type: 'namespace', name, attribute: this.#tokens.expect('name').value }
    }
    return { type: 'name', name }
  }
}
