import { EngineError } from '../engine.ts'

/** The connection failed before the engine said anything: the one failure after which asking again cannot do harm. */
export class ConnectionError extends EngineError {
  constructor(message: string, cause?: unknown) {
    super({ kind: 'unavailable', message }, { cause })
  }
}

export function unavailable(message: string, cause?: unknown): EngineError {
  return new EngineError({ kind: 'unavailable', message }, { cause })
}
