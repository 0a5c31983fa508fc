import type { JsonObject } from '../engine.ts'
import type { ResponseObject } from './responseObject.ts'

/** A response as it is kept: all that is needed to show, continue, stream and cancel it. */
export interface StoredResponse {
  /** At the start of the run while that goes on, then at its end. */
  response: ResponseObject
  /** Items of the request, each with an id. */
  input: JsonObject[]
  /** What the request asked to be included. */
  include: string[]
  /** Opaque name of whoever asked. */
  owner?: string
  /** Its run is, or was, a detached job of the engine with the response's id. */
  detached: boolean
}

/**
 * Keeps responses, within bounds of its own: what is not there may have been forgotten. Using a response, as
 * `get` does, keeps it for longer.
 */
export interface ResponseStore {
  /** Nothing is kept here, and nothing needs to be. */
  readonly isOff?: true
  /** Adds or replaces. */
  put(stored: StoredResponse): Promise<void>
  /** @returns undefined for an id that is unknown or somebody else's */
  get(id: string, owner: string | undefined): Promise<StoredResponse | undefined>
  /** @returns whether it was there */
  delete(id: string, owner: string | undefined): Promise<boolean>
}
