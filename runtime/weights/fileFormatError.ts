/** A model file that cannot be read as what it claims to be: names the file and what is wrong with it. */
export class FileFormatError extends Error {
  readonly path: string
  readonly reason: string

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options)
    this.name = 'FileFormatError'
    this.path = path
    this.reason = reason
  }
}
