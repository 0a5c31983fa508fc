/** A sound model that this version cannot run; the message says why and what it can run. */
export class UnsupportedModelError extends Error {
  readonly path: string
  /** `model_type` or GGUF architecture. */
  readonly architecture: string

  constructor(path: string, architecture: string, reason: string) {
    super(`${path}: ${reason}`)
    this.name = 'UnsupportedModelError'
    this.path = path
    this.architecture = architecture
  }
}
