import { Bound } from './arguments.ts'
import { JinjaError, typeError, valueError } from './errors.ts'
import { strftime } from './strftime.ts'
import {
  type CallArguments,
  Callable,
  isDict,
  iterate,
  Namespace,
  TemplateObject,
  toText,
  type Value,
} from './values.ts'

/** The sandbox of jinja2 blocks longer ranges. */
const maxRange = 100_000

/**
 * What every template can call: jinja2's globals and those transformers adds for chat templates.
 * @param now what `strftime_now` sees, in local time
 */
export function templateGlobals(now: () => Date): Map<string, Value> {
  const functions: Record<string, (call: CallArguments) => Value> = {
    range: rangeOf,
    dict: dictOf,
    namespace: call => new Namespace(new Map([...dictOf(call)].map(([k, v]) => [toText(k), v]))),
    joiner: call => new Joiner(new Bound('joiner', call, ['sep']).text('sep', ', ')),
    cycler: ({ args }) => new Cycler(args),
    raise_exception: call => {
      const message = new Bound('raise_exception', call, ['message']).value('message')
      throw new JinjaError('TemplateError', toText(message))
    },
    strftime_now: call =>
      strftime(new Bound('strftime_now', call, ['format']).text('format'), now()),
  }
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]))
}

function rangeOf(call: CallArguments): Value {
  const isOne = call.args.length === 1
  const args = new Bound('range', call, isOne ? ['stop'] : ['start', 'stop', 'step'])
  const start = isOne ? 0 : args.integer('start')
  const stop = args.integer('stop')
  const step = isOne ? 1 : args.integer('step', 1)
  if (step === 0) throw valueError('range() arg 3 must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > maxRange) {
    throw new JinjaError(
      'OverflowError',
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${maxRange}).`,
    )
  }
  return Array.from({ length }, (_, i) => start + i * step)
}

function dictOf({ args, named }: CallArguments): Map<Value, Value> {
  const [source] = args
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`)
  const out = new Map<Value, Value>()
  if (source !== undefined) {
    const pairs = isDict(source) ? [...source] : iterate(source).map(pair => iterate(pair))
    for (const [key = null, value = null] of pairs) out.set(key, value)
  }
  for (const [name, value] of named) out.set(name, value)
  return out
}

/** Empty the first time, then a separator. */
class Joiner extends TemplateObject {
  readonly typeName = 'jinja2.utils.Joiner'
  readonly #separator: string
  #isUsed = false

  constructor(separator: string) {
    super()
    this.#separator = separator
  }

  attribute(): undefined {
    return undefined
  }

  override call(): Value {
    if (this.#isUsed) return this.#separator
    this.#isUsed = true
    return ''
  }
}

/** Goes round its items. */
class Cycler extends TemplateObject {
  readonly typeName = 'jinja2.utils.Cycler'
  readonly #items: Value[]
  #at = 0

  constructor(items: Value[]) {
    super()
    if (items.length === 0) throw typeError('at least one item has to be provided')
    this.#items = items
  }

  attribute(name: string): Value | undefined {
    const current = this.#items[this.#at] ?? null
    switch (name) {
      case 'current':
        return current
      case 'next':
        return new Callable('next', () => {
          const item = this.#items[this.#at] ?? null
          this.#at = (this.#at + 1) % this.#items.length
          return item
        })
      case 'reset':
        return new Callable('reset', () => {
          this.#at = 0
          return null
        })
      default:
        return undefined
    }
  }
}
