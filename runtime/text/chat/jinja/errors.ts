/**
 * An error of a template, with the name the reference (Python's jinja2) gives it: TemplateSyntaxError, UndefinedError,
 * TypeError, SecurityError, TemplateError (what `raise_exception` makes).
 */
export class JinjaError extends Error {
  readonly kind: string

  constructor(kind: string, message: string) {
    super(message)
    this.name = 'JinjaError'
    this.kind = kind
  }
}

export function typeError(message: string): JinjaError {
  return new JinjaError('TypeError', message)
}

export function valueError(message: string): JinjaError {
  return new JinjaError('ValueError', message)
}

export function undefinedError(message: string): JinjaError {
  return new JinjaError('UndefinedError', message)
}
