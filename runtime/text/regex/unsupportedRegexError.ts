/** A pattern that JavaScript's engine cannot run, or not in acceptable time. */
export class UnsupportedRegexError extends Error {
  constructor(pattern: string, reason: string, options?: ErrorOptions) {
    const shown = pattern.length > 200 ? `${pattern.slice(0, 200)}…` : pattern
    super(`regular expression ${JSON.stringify(shown)}: ${reason}`, options)
    this.name = 'UnsupportedRegexError'
  }
}
