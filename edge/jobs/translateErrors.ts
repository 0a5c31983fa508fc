import { EngineError, type EngineErrorKind } from '../engine.ts'
import { fromEngineError, internalError } from '../errors.ts'

/**
 * Runs a handler and tells of the engine's failures in terms of its protocol's fields.
 * @param toParam turns a path in terms of a job into the field of the request
 * @throws ApiError
 */
export function translateErrors<T>(
  toParam: (path: string | undefined, kind: EngineErrorKind) => string | undefined,
  handler: () => Promise<T>,
): Promise<T> {
  return handler().catch((error: unknown) => {
    // Hono lets anything but an Error through, and an aborted signal may throw what its host likes.
    if (!(error instanceof Error)) throw internalError(error)
    if (!(error instanceof EngineError)) throw error
    throw fromEngineError(error.toData(), toParam)
  })
}
