import type { Statement } from './ast.ts'
import { templateGlobals } from './globals.ts'
import { renderTemplate } from './interpreter.ts'
import { parseTemplate } from './parser.ts'
import { fromJson, type Value } from './values.ts'

/**
 * A Jinja template as chat templates use it, with the results of Python's jinja2 set up as transformers does: immutable
 * sandbox, `trim_blocks`, `lstrip_blocks`, loop controls, `tojson` without escapes, `raise_exception`, `strftime_now`,
 * `generation` blocks.
 */
export class JinjaTemplate {
  readonly #statements: Statement[]

  /** @throws JinjaError of kind TemplateSyntaxError */
  constructor(source: string) {
    this.#statements = parseTemplate(source)
  }

  /**
   * @param variables plain JSON
   * @param now what `strftime_now` sees
   * @throws JinjaError
   */
  render(variables: Record<string, unknown>, now: () => Date = () => new Date()): string {
    const values = new Map<string, Value>(templateGlobals(now))
    for (const [name, value] of Object.entries(variables)) values.set(name, fromJson(value))
    return renderTemplate(this.#statements, values)
  }
}
