import { typeError } from './errors.ts'
import {
  type CallArguments,
  Callable,
  isEqual,
  orElse,
  TemplateObject,
  Tuple,
  Undefined,
  type Value,
} from './values.ts'

/** The `loop` of a `for` block. Source: jinja2 template designer documentation, "For". */
export class Loop extends TemplateObject {
  readonly typeName = 'jinja2.runtime.LoopContext'
  readonly #items: Value[]
  readonly #depth: number
  readonly #recurse: ((items: Value, depth: number) => string) | undefined
  #index = -1
  #lastChecked: Value | undefined

  /** @param recurse renders the loop's body for other items; of `recursive` loops */
  constructor(items: Value[], depth: number, recurse?: (items: Value, depth: number) => string) {
    super()
    this.#items = items
    this.#depth = depth
    this.#recurse = recurse
  }

  advance(): void {
    this.#index += 1
  }

  attribute(name: string): Value | undefined {
    const index = this.#index
    const length = this.#items.length
    switch (name) {
      case 'index':
        return index + 1
      case 'index0':
        return index
      case 'revindex':
        return length - index
      case 'revindex0':
        return length - index - 1
      case 'first':
        return index === 0
      case 'last':
        return index === length - 1
      case 'length':
        return length
      case 'depth':
        return this.#depth + 1
      case 'depth0':
        return this.#depth
      case 'previtem':
        return orElse(this.#items[index - 1], () => new Undefined('there is no previous item'))
      case 'nextitem':
        return orElse(this.#items[index + 1], () => new Undefined('there is no next item'))
      case 'cycle':
        return new Callable('cycle', ({ args }) => {
          if (args.length === 0) throw typeError('no items for cycling given')
          return args[index % args.length] ?? null
        })
      case 'changed':
        return new Callable('changed', ({ args }) => {
          const value = Tuple.fromItems(args)
          const isChanged = this.#lastChecked === undefined || !isEqual(this.#lastChecked, value)
          this.#lastChecked = value
          return isChanged
        })
      default:
        return undefined
    }
  }

  override call({ args }: CallArguments): Value {
    if (this.#recurse === undefined) {
      throw typeError("The loop must have the 'recursive' marker to be called recursively.")
    }
    return this.#recurse(args[0] === undefined ? [] : args[0], this.#depth + 1)
  }
}
