import type { BinaryOperator } from './ast.ts'
import { JinjaError, typeError } from './errors.ts'
import { percentFormat } from './formatting.ts'
import { Float, numberOf, Tuple, typeName, Undefined, type Value } from './values.ts'

/** A template that makes longer texts or lists is broken or hostile. */
const maxLength = 10_000_000

/** `left operator right` with Python's rules. @throws JinjaError TypeError, UndefinedError, ZeroDivisionError */
export function binary(
  operator: Exclude<BinaryOperator, 'and' | 'or'>,
  left: Value,
  right: Value,
): Value {
  if (operator === '%' && typeof left === 'string') return percentFormat(left, right)
  if (left instanceof Undefined) left.fail()
  if (right instanceof Undefined) right.fail()
  if (operator === '+') {
    const joined = add(left, right)
    if (joined !== undefined) return joined
  }
  if (operator === '*') {
    const repeated = repeat(left, right) ?? repeat(right, left)
    if (repeated !== undefined) return repeated
  }
  const a = numberOf(left)
  const b = numberOf(right)
  if (a === undefined || b === undefined) throw unsupported(operator, left, right)
  const isFloat = left instanceof Float || right instanceof Float
  return arithmetic(operator, a, b, isFloat)
}

function add(left: Value, right: Value): Value | undefined {
  if (typeof left === 'string') {
    if (typeof right === 'string') {
      checkLength(left.length + right.length)
      return left + right
    }
    throw typeError(`can only concatenate str (not "${typeName(right)}") to str`)
  }
  if (Array.isArray(left)) {
    if (Array.isArray(right) && left instanceof Tuple === right instanceof Tuple) {
      checkLength(left.length + right.length)
      return left instanceof Tuple ? Tuple.fromItems([...left, ...right]) : [...left, ...right]
    }
    throw typeError(
      `can only concatenate ${typeName(left)} (not "${typeName(right)}") to ${typeName(left)}`,
    )
  }
  return undefined
}

function repeat(sequence: Value, count: Value): Value | undefined {
  if (typeof count !== 'number' && typeof count !== 'boolean') return undefined
  const times = Math.max(0, Number(count))
  if (typeof sequence === 'string') {
    checkLength(sequence.length * times)
    return sequence.repeat(times)
  }
  if (!Array.isArray(sequence)) return undefined
  checkLength(sequence.length * times)
  const items = Array.from({ length: times }, () => [...sequence]).flat()
  return sequence instanceof Tuple ? Tuple.fromItems(items) : items
}

function checkLength(length: number): void {
  if (length > maxLength) throw new JinjaError('MemoryError', 'too long')
}

function arithmetic(
  operator: Exclude<BinaryOperator, 'and' | 'or'>,
  a: number,
  b: number,
  isFloat: boolean,
): Value {
  const wrap = (value: number) => (isFloat ? new Float(value) : value)
  switch (operator) {
    case '+':
      return wrap(a + b)
    case '-':
      return wrap(a - b)
    case '*':
      return wrap(a * b)
    case '**':
      return isFloat || b < 0 ? new Float(a ** b) : a ** b
  }
  if (b === 0) throw new JinjaError('ZeroDivisionError', 'division by zero')
  switch (operator) {
    case '/':
      return new Float(a / b)
    case '//':
      return wrap(Math.floor(a / b))
    case '%':
      // The result has the sign of the divisor.
      return wrap(a - b * Math.floor(a / b))
  }
}

export function negate(operator: '-' | '+', value: Value): Value {
  if (value instanceof Undefined) value.fail()
  const number = numberOf(value)
  if (number === undefined) {
    throw typeError(`bad operand type for unary ${operator}: '${typeName(value)}'`)
  }
  const result = operator === '-' ? 0 - number : number
  return value instanceof Float ? new Float(operator === '-' ? -number : number) : result
}

function unsupported(operator: string, left: Value, right: Value): JinjaError {
  return typeError(
    `unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`,
  )
}
