/** A conversation that the chat template refuses (`raise_exception`), or a template that cannot be rendered. */
export class ChatTemplateError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ChatTemplateError'
  }
}
